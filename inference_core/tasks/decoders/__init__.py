"""Decoders of detection models: raw outputs become boxes with a class and a score, one family of models a file."""
