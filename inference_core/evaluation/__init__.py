"""How right answers are, by labels: readers of labels, metrics, and what is fitted by them."""
