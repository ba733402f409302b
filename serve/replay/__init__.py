"""``millrace replay``: send the images of a run to a service and compare the answers row by row."""
