"""Which parts of an image an answer comes from."""
