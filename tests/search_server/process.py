"""A server as a child process: whether it answers, waiting until it does, ending it."""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Callable

from elasticsearch import ApiError, Elasticsearch, TransportError, UnsupportedProductError

from search_server.build import NoSearchServer

HEAP = "1g"
START_S = 180.0
STOP_S = 20.0


def status(url: str) -> str | None:
    """The cluster's health, as a word; None where no Elasticsearch answers."""
    try:
        with Elasticsearch(url, request_timeout=10, max_retries=0) as client:
            return str(client.cluster.health()["status"])
    except (ApiError, TransportError, UnsupportedProductError, ValueError):
        return None


def wait(url: str, alive: Callable[[], bool], limit: float) -> None:
    """Return when the server at `url` is green or yellow; `limit` is a time of `time.monotonic()`."""
    while status(url) not in ("green", "yellow"):
        if not alive() or time.monotonic() > limit:
            raise NoSearchServer("Elasticsearch started, but did not become green or yellow")
        time.sleep(0.1)


def end(process: subprocess.Popen[bytes]) -> None:
    """Close the pipe that the server reads, and wait for its end, which is forced after a time."""
    assert process.stdin is not None
    with contextlib.suppress(OSError):
        process.stdin.close()
    try:
        process.wait(timeout=STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
