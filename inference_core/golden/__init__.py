"""The contract of a package, proven: a few images with what they must become, replayed through every engine."""
