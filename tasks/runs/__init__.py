"""What a run does: finds what is due, estimates it, does it and reports it."""
