"""A real Elasticsearch for tests, and for readers who want one without Docker: `server.py` says which and how."""
