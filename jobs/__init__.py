"""Batch jobs: the three verbs of the core as a Ray Data pipeline with a commit log."""
