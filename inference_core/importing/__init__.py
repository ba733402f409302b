"""From what training left behind to a model package: what is found, what is assumed, what must still be said."""
