"""What ``benchmarks/chaos.py`` does to runs, where, and how it judges them."""
