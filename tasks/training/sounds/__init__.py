"""Training of models that put sounds and texts into one space."""
