"""Which models are used, at which commit, and how they are loaded."""
