"""A package in another format, accepted only where it answers as the original does."""
