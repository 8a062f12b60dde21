"""What the web app shows, read from one snapshot of the lake; nothing here knows the web."""
