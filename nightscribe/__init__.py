"""The command line of Nightscribe."""
