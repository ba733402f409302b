"""Where the images of a run come from."""
