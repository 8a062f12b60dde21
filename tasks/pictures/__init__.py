"""What is to be seen in a video, as vectors that pictures and texts share."""
