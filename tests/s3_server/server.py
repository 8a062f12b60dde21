"""The server as tests see it, and a proxy in front of it that fails by a rule."""

from __future__ import annotations

import atexit
import contextlib
import functools
import http.client
import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import s3fs

_KEYS = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}


@functools.cache
def _started() -> str:
    """The URL of the server of this process's tests: to start one takes as long as most of them."""
    command = [sys.executable, "-m", "s3_server"]
    folder = Path(__file__).resolve().parents[1]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None

    @atexit.register
    def end() -> None:
        process.kill()
        process.wait()
        process.stdout.close()

    return process.stdout.readline().strip()


def s3_server() -> str:
    """The URL of a server that has the empty buckets `archive` and `lake` and nothing else, whatever it had before."""
    url = _started()
    with urllib.request.urlopen(urllib.request.Request(f"{url}/moto-api/reset", method="POST"), timeout=30):
        pass
    client = client_of(url)
    for bucket in ("archive", "lake"):
        client.create_bucket(Bucket=bucket)
    client.close()
    return url


def client_of(url: str) -> Any:
    """A client to put objects with."""
    import boto3

    return boto3.client("s3", endpoint_url=url, region_name="us-east-1", **_KEYS)


def s3_environment(url: str) -> dict[str, str]:
    """Variables that lead every AWS client to a server."""
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


@pytest.fixture
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of a server that this process and its children find."""
    url = s3_server()
    for name, value in s3_environment(url).items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()  # its listings are another test's
    client = client_of(url)
    yield client
    client.close()


@dataclass(frozen=True)
class Request:
    """What a client asked. `number` counts the requests of this method for this key, from 1 on."""

    method: str
    bucket: str
    key: str
    query: str
    headers: dict[str, str]
    number: int


@dataclass(frozen=True)
class Refuse:
    """An answer of the proxy's own; with `done`, after the server has done what was asked."""

    status: int
    code: str
    done: bool = False


@dataclass(frozen=True)
class Cut:
    """The server's answer, broken off after so many bytes of its body, silent for `pause_s` before that."""

    after: int
    pause_s: float = 0.0
    then: Callable[[], object] = lambda: None


@dataclass(frozen=True)
class Rewrite:
    """The server's answer with another body, and with these headers, or without those that are None."""

    body: Callable[[bytes], bytes] = lambda said: said
    headers: dict[str, str | None] = field(default_factory=dict)


@dataclass
class Proxy:
    """Forwards to `target` what `rule` lets through; `seen` has every request."""

    target: str
    url: str = ""
    rule: Callable[[Request], Refuse | Cut | Rewrite | None] = lambda request: None
    seen: list[Request] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, method: str, target: str, headers: dict[str, str]) -> Request:
        path, _, query = target.partition("?")
        bucket, _, key = unquote(path).lstrip("/").partition("/")
        with self._lock:
            number = 1 + sum((r.method, r.key) == (method, key) for r in self.seen)
            self.seen.append(Request(method, bucket, key, query, headers, number))
            return self.seen[-1]

    def reads(self, key: str) -> list[Request]:
        """The requests for an object's bytes so far."""
        return [request for request in self.seen if (request.method, request.key) == ("GET", key)]


@contextlib.contextmanager
def proxied(target: str) -> Iterator[Proxy]:
    """A proxy on a free port."""
    proxy = Proxy(target)
    address = urlsplit(target)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            told = proxy.rule(proxy.note(self.command, self.path, dict(self.headers)))
            if isinstance(told, Refuse) and not told.done:
                self._refuse(told)
                return
            connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
            with contextlib.closing(connection):
                connection.request(self.command, self.path, body or None, dict(self.headers))
                answer = connection.getresponse()
                said = answer.read()
                headers = [(k, v) for k, v in answer.getheaders() if k.lower() not in ("connection", "date", "server")]
            if isinstance(told, Refuse):
                self._refuse(told)
                return
            if isinstance(told, Rewrite):
                said = told.body(said)
                other = {name.lower(): value for name, value in told.headers.items()}
                if self.command != "HEAD":
                    other["content-length"] = str(len(said))
                headers = [(name, value) for name, value in headers if name.lower() not in other]
                headers += [(name, value) for name, value in other.items() if value is not None]
                told = None
            if not told:
                self._answer(answer.status, headers, said)
                return
            self._answer(answer.status, headers, said[: told.after])
            self.wfile.flush()
            told.then()
            time.sleep(told.pause_s)
            self.close_connection = True

        def _refuse(self, told: Refuse) -> None:
            said = f"<Error><Code>{told.code}</Code><Message>{told.code}</Message></Error>".encode()
            self._answer(told.status, [("Content-Length", str(len(said)))], said)

        def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                with contextlib.suppress(OSError):  # the client has gone
                    self.wfile.write(body)

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = handle_any  # noqa: N815 - http.server's names

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.block_on_close = False
    proxy.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)


@pytest.fixture
def faulty(s3: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    """A proxy in front of the server, which this process and its children find instead of it."""
    with proxied(os.environ["AWS_ENDPOINT_URL"]) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        yield proxy
