"""Videos as a whole, from the rows of their frames."""
