"""Clients that are slow, many or silent, against a real server: they keep nobody waiting."""

from __future__ import annotations

import resource
import select
import socket
import time
from urllib.parse import urlsplit

import httpx
import pytest
from web_archive import BANK, archive, serving, video, web  # noqa: F401

from dashboards.serve import serve
from tasks.lake.commit import commit
from tasks.settings import Settings

LARGE, LARGE_BYTES = "3" * 20, 30_000_000


@pytest.fixture(scope="module")
def large(archive):
    """The address of an original of 30 MB, more than systems hold for a reader who does not read."""
    with (archive.bucket / "large.mp4").open("wb") as handle:
        handle.truncate(LARGE_BYTES)
    made = video("a large one", LARGE, "large.mp4", archive.bucket, title="Large")
    commit(archive.lake, [made], run_id="r2", device="cpu")
    return f"/media/{LARGE}/original"


def connected(web: httpx.Client, *, buffer: int | None = None, peer: str = "127.0.0.1") -> socket.socket:
    address = urlsplit(str(web.base_url))
    made = socket.socket()
    made.settimeout(10)
    if buffer:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
    made.bind((peer, 0))
    made.connect((address.hostname, address.port))
    return made


def hung_up(connection: socket.socket, seconds: float) -> bool:
    """Whether the other side lets go within a time in which nothing is read."""
    events = select.poll()
    events.register(connection, select.POLLRDHUP)
    return bool(events.poll(1000 * seconds))


def test_fifty_slow_clients_keep_nobody_waiting_and_are_let_go(web, large, monkeypatch):
    monkeypatch.setattr("dashboards.patience.UNREAD_S", 8.0)
    monkeypatch.setattr("dashboards.patience.REQUEST_S", 8.0)
    slow = [connected(web, buffer=4096) for _ in range(50)]
    try:
        for number, connection in enumerate(slow):
            if number % 2:  # half never end their question, half never read the answer
                connection.sendall(b"GET /api/search?q=bank HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
            else:
                connection.sendall(f"GET {large} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        for path in ("/api/health", "/api/search?q=bank", f"/watch/{BANK}", f"/media/{BANK}/original"):
            assert web.get(path).status_code == 200
        assert not any(hung_up(connection, 0) for connection in slow), "they were all there meanwhile"
        until = time.monotonic() + 30
        assert all(hung_up(connection, max(0.0, until - time.monotonic())) for connection in slow)
    finally:
        for connection in slow:
            connection.close()


def test_who_reads_slowly_but_steadily_gets_the_whole(web, large, monkeypatch):
    monkeypatch.setattr("dashboards.patience.UNREAD_S", 0.5)
    with connected(web, buffer=32_768) as steady, connected(web, buffer=32_768) as leaving:
        ask = f"GET {large} HTTP/1.1\r\nHost: 127.0.0.1\r\nRange: bytes=0-7999999\r\n\r\n".encode()
        steady.sendall(ask)
        leaving.sendall(ask)
        taken = 0
        until = time.monotonic() + 2  # four times the patience, and never a whole chunk in it
        while time.monotonic() < until:
            taken += len(steady.recv(30_000))
            time.sleep(0.1)
        assert taken < 1_000_000
        assert not hung_up(steady, 0)
        assert hung_up(leaving, 0)
        while taken < 8_000_000:
            part = steady.recv(1 << 20)
            assert part
            taken += len(part)


def test_one_address_cannot_take_all_places(web, archive, monkeypatch):
    monkeypatch.setattr("dashboards.patience.PEER_CONNECTIONS", 5)
    greedy = [connected(web, peer="127.0.0.2") for _ in range(9)]
    try:
        until = time.monotonic() + 0.3
        turned_away = [one for one in greedy if hung_up(one, max(0.0, until - time.monotonic()))]
        assert len(turned_away) == 4
        assert all(connection.recv(1000).startswith(b"HTTP/1.1 503 ") for connection in turned_away)
        assert web.get("/api/health").status_code == 200  # of another address
        greedy.pop(0).close()
        kept = greedy.pop(0)
        kept.sendall(b"GET /api/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert answered(kept).startswith(b"HTTP/1.1 200")
        kept.close()
        with connected(web, peer="127.0.0.2") as after:
            assert not hung_up(after, 0.2)
    finally:
        for connection in greedy:
            connection.close()
    behind_a_proxy = archive.settings.model_copy(update={"web_user_header": "X-Remote-User"})
    with serving(behind_a_proxy) as address, httpx.Client(base_url=address) as client:
        many = [connected(client) for _ in range(9)]
        assert not any(hung_up(connection, 0) for connection in many)
        for connection in many:
            connection.close()


def test_a_server_may_open_as_many_files_as_its_connections_need(monkeypatch):
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    seen = []

    class Server:
        def run(self, sockets):
            seen.append(resource.getrlimit(resource.RLIMIT_NOFILE)[0])

    monkeypatch.setattr("dashboards.serve.make_server", lambda settings: Server())
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (512, limits[1]))
        serve(Settings(web_port=0))
        assert seen == [min(limits[1], 2000)]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def answered(connection: socket.socket) -> bytes:
    said = b""
    while not said.endswith(b"}"):
        said += connection.recv(65_536)
    return said


def test_who_takes_too_long_to_ask_is_let_go_and_who_asked_is_not(archive, monkeypatch):
    monkeypatch.setattr("dashboards.patience.REQUEST_S", 1.0)
    whole = b"GET /api/health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    with serving(archive.settings) as address:
        place = (urlsplit(address).hostname, urlsplit(address).port)
        begun = (b"", whole[:20], b"POST /api/sql HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\n{")
        slow = [socket.create_connection(place, timeout=10) for _ in begun]
        kept = socket.create_connection(place, timeout=10)
        for connection, data in zip((*slow, kept), (*begun, whole), strict=True):
            connection.sendall(data)
        assert answered(kept).startswith(b"HTTP/1.1 200")
        for connection in slow:
            assert connection.recv(65_536) == b""
            connection.close()
        kept.sendall(whole)
        assert answered(kept).startswith(b"HTTP/1.1 200")
        kept.close()
