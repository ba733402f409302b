"""Pictures of some images of a finished run: which ones, and what is drawn."""
