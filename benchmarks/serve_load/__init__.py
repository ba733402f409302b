"""Parts of ``benchmarks/serving.py``: who asks, who answers, and what came of it."""
