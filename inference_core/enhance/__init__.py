"""Several forwards for one answer, between the engine and the task: views, dropout samples, members of an ensemble."""
