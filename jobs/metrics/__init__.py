"""What a run tells Prometheus while it works: the driver serves it, from the records of committed shards."""
