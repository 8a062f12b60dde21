"""How good a model is: word errors, topic accuracy, and what changed between two generations of an archive."""
