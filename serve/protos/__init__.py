"""The Open Inference Protocol's messages, as Python sees them."""
