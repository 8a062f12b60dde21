"""Forgetting a video: in the lake, in search, in files beside the videos, and in what logs say."""
