"""Draws microscopy-like images whose truth is known, from a seed and nothing else."""
