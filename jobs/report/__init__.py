"""The report of a run: a pure function from its statistics to a handful of files."""
