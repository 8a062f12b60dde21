"""An S3 server for tests, and a proxy that makes it fail."""

from s3_server.server import Cut, Proxy, Refuse, Request, Rewrite, client_of, faulty, s3, s3_environment, s3_server

__all__ = ["Cut", "Proxy", "Refuse", "Request", "Rewrite", "client_of", "faulty", "s3", "s3_environment", "s3_server"]
