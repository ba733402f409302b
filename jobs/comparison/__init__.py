"""Two runs beside each other: what they decide of the same images, and how far their values drifted apart."""
