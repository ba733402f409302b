"""Numbers that describe each answer, and the verdict that rules find on it."""
