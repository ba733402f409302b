"""Model packages, the loaders of their formats, and the architectures that come with Millrace."""
