"""A proxy in front of Elasticsearch that injects faults, speaks TLS, and asks for a key: what the tests' server cannot."""

from __future__ import annotations

import contextlib
import http.client
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Request:
    """What a client asked. `bulk` counts the bulk requests so far, from 1 on; 0 for another request."""

    method: str
    path: str
    body: bytes
    headers: dict[str, str]
    bulk: int


@dataclass(frozen=True)
class Answer:
    """An answer of the proxy's own. With `cut`, only the first half of its body arrives before the connection breaks."""

    status: int
    body: dict[str, Any] = field(default_factory=dict)


class Hangup(Exception):
    """Close the connection without an answer. With `after`, the server gets the request and half of its answer arrives."""

    def __init__(self, *, after: bool = False) -> None:
        super().__init__()
        self.after = after


Rule = Callable[[Request], Answer | None]


class Proxy:
    """Forwards to `target`; `rule` may answer itself, hang up, or refuse items (`without_items`)."""

    def __init__(self, target: str) -> None:
        self.target = urlsplit(target)
        self.rule: Rule = lambda request: None
        self.refused_items: Callable[[str], bool] = lambda id_: False
        self.seen: list[Request] = []
        self.url = ""
        self._lock = threading.Lock()

    def note(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Request:
        """Count a request."""
        with self._lock:
            bulks = sum(request.bulk > 0 for request in self.seen)
            is_bulk = "/_bulk" in path
            request = Request(method, path, body, headers, bulks + 1 if is_bulk else 0)
            self.seen.append(request)
        return request

    @property
    def bulks(self) -> int:
        return sum(request.bulk > 0 for request in self.seen)

    def forward(self, request: Request) -> tuple[int, bytes]:
        """Ask the server. Items that `refused_items` names never reach it, and come back as 429."""
        body, refused = request.body, {}
        if request.bulk:
            body, refused = self._without(request.body)
        assert self.target.hostname
        connection = http.client.HTTPConnection(self.target.hostname, self.target.port or 80, timeout=60)
        headers = {
            name: value for name, value in request.headers.items()
            if name.lower() not in ("host", "content-length", "authorization", "accept-encoding")
        }  # fmt: skip
        with contextlib.closing(connection):
            if request.bulk and not body:
                return 200, json.dumps({"took": 0, "errors": True, "items": list(refused.values())}).encode()
            connection.request(request.method, request.path, body or None, headers)
            answer = connection.getresponse()
            status, said = answer.status, answer.read()
        if refused:
            document = json.loads(said)
            for place, item in sorted(refused.items()):
                document["items"].insert(place, item)
            document["errors"] = True
            said = json.dumps(document).encode()
        return status, said

    def _without(self, body: bytes) -> tuple[bytes, dict[int, Any]]:
        lines = body.splitlines(keepends=True)
        kept, refused, place, at = [], {}, 0, 0
        while at < len(lines):
            ((operation, action),) = json.loads(lines[at]).items()
            size = 1 if operation == "delete" else 2
            if self.refused_items(action["_id"]):
                error = {"type": "es_rejected_execution_exception", "reason": "queue is full"}
                refused[place] = {operation: {"_id": action["_id"], "status": 429, "error": error}}
            else:
                kept += lines[at : at + size]
            at += size
            place += 1
        return b"".join(kept), refused


@contextlib.contextmanager
def proxied(target: str, *, tls: ssl.SSLContext | None = None) -> Iterator[Proxy]:
    """A proxy on a free port for the time of a `with`."""
    proxy = Proxy(target)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = proxy.note(self.command, self.path, body, dict(self.headers))
            try:
                own = proxy.rule(request)
                status, said = (own.status, json.dumps(own.body).encode()) if own else proxy.forward(request)
            except Hangup as hangup:
                if hangup.after:
                    status, said = proxy.forward(request)
                    self._head(status, len(said))
                    self.wfile.write(said[: len(said) // 2])
                self.close_connection = True
                return
            self._head(status, len(said))
            if self.command != "HEAD":
                self.wfile.write(said)

        def _head(self, status: int, length: int) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/vnd.elasticsearch+json;compatible-with=9")
            self.send_header("X-Elastic-Product", "Elasticsearch")
            self.send_header("Content-Length", str(length))
            self.end_headers()

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = handle_any  # noqa: N815 - http.server's names

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    proxy.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
