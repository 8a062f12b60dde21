"""Sounds that are no words."""
