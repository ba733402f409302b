"""What commands end with, beside the codes that errors carry."""

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_TOO_MANY_ERRORS = 3
EXIT_INTERRUPTED = 130
