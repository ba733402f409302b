"""Golden images: what a package's model must make of a few images, sealed into the package and replayed anywhere."""
