"""Training of models that put texts and something else into one space."""
