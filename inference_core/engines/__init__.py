"""What runs a model on a device: one protocol, one engine for each library."""
