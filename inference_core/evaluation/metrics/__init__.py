"""Figures of answers beside their truth: pure functions on arrays."""
