"""What this machine offers: its processor, scratch space, and helper processes that end with their parent."""
