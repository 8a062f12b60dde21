"""Subtitle files: written from the lake, put beside the videos, and taken away again."""
