"""An S3 server that lists a made-up bucket and has nothing else: `python -m nightscribe.bench.listing OBJECTS CHANGED`.

Object `i` has the ETag md5(i), or md5(i, "changed") for the first CHANGED of every equal part. Prints its URL.
"""

from __future__ import annotations

import hashlib
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tasks.machine.lifetime import end_with

PAGE = 1000
BUCKET = "s3://archive"


def key_of(i: int) -> str:
    """`talks/2019/07/0000123 a talk.mp4`"""
    return f"talks/{2000 + i % 25}/{1 + i % 12:02d}/{i:07d} a talk.mp4"


def page(first: int, last: int, total: int, changed: int) -> bytes:
    """The XML of objects `first` to `last`, as S3 says it."""
    every = total // changed if changed else 0
    items = []
    for i in range(first, last):
        told = f"{i} changed" if every and i % every == 0 else f"{i}"
        tag = hashlib.md5(told.encode(), usedforsecurity=False).hexdigest()
        items.append(
            f"<Contents><Key>{key_of(i).replace(' ', '%20')}</Key><LastModified>2024-01-02T03:04:05.000Z</LastModified>"
            f"<ETag>&quot;{tag}&quot;</ETag><Size>{100_000_000 + i}</Size><StorageClass>STANDARD</StorageClass></Contents>"
        )
    more = f"<NextContinuationToken>{last}</NextContinuationToken>" if last < total else ""
    return (
        '<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Name>archive</Name><KeyCount>{last - first}</KeyCount><EncodingType>url</EncodingType>"
        f"<IsTruncated>{str(last < total).lower()}</IsTruncated>{more}{''.join(items)}</ListBucketResult>"
    ).encode()


def _serve(total: int, changed: int) -> None:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 1 << 20  # head and body in one packet

        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            first = int(query.get("continuation-token", ["0"])[0])
            body = page(first, min(total, first + int(query.get("max-keys", [str(PAGE)])[0])), total, changed)
            self.send_response(200)
            self.send_header("Content-Type", "application/xml")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.wfile.flush()

        def log_message(self, format: str, *args: Any) -> None:
            return

    end_with(os.getppid())
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(f"http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    _serve(int(sys.argv[1]), int(sys.argv[2]))
