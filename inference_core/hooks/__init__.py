"""Functions of the user's that a package names: where their code lies, what it is, and how it is called."""
