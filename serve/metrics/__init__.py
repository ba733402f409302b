"""What a service tells of itself while it works: metrics for Prometheus, and a line for each request."""
