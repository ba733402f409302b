"""Hold a run's answers beside labels: read them, or infer them again, and write what was found."""
