"""A faster or smaller package, with what it costs in answers."""
