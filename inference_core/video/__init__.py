"""Videos: frames with their times, answers over time, and annotated files."""
