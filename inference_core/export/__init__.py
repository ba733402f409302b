"""Predictions as files: rows of a fixed schema, and masks."""
