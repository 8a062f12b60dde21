"""Attacks on the web app through a real server: strangers, other sites, paths, SQL, size, slowness."""

from __future__ import annotations

import contextlib
import resource
import select
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx
import pytest
from web_archive import BANK, SCRIPT, archive, serving, video, web  # noqa: F401

from dashboards.guard import HEADERS
from dashboards.serve import check, serve
from tasks.errors import Misconfigured
from tasks.lake.commit import commit
from tasks.settings import Settings

TOKEN = "a-long-secret"
SECRET = "root:"  # of /etc/passwd
LARGE, LARGE_BYTES = "3" * 20, 30_000_000


def raw(web: httpx.Client, data: bytes, *, most: int = 1 << 16) -> bytes:
    """What a server says to bytes that no client would send; what it does not take is left unsent."""
    address = urlsplit(str(web.base_url))
    with socket.create_connection((address.hostname, address.port), timeout=20) as connection:
        said = b""
        with contextlib.suppress(OSError):  # it has hung up already
            connection.sendall(data)
        with contextlib.suppress(OSError):
            while len(said) < most and (part := connection.recv(65_536)):
                said += part
        return said


TRICKS = [
    "..%2f..%2f..%2fetc%2fpasswd", "....//....//etc/passwd", "%2e%2e/%2e%2e/etc/passwd", "/etc/passwd", "%00", "a%00b",
    "C:%5cwindows", "file:%2f%2f%2fetc%2fpasswd", "%ff%fe", BANK.upper(), f"{BANK}%00", f"{BANK}%2f..", "' OR '1'='1",
    "$(id)", "-i", "a" * 5000, "\u202e" + BANK,
]  # fmt: skip


@pytest.mark.parametrize(
    "path",
    ["/watch/{}", "/api/videos/{}", "/api/videos/{}/transcript", "/api/videos/{}/subtitles.vtt", "/media/{}/original",
     "/media/{}/frame.jpg", "/static/{}", "/analytics/{}/data.csv"],
)  # fmt: skip
def test_an_id_is_never_a_path(web, path):
    for trick in TRICKS:
        answer = web.get(path.format(trick if "%" in trick else quote(trick, safe="/")))
        assert answer.status_code in (400, 404, 405, 422), (trick, answer.text)
        assert SECRET not in answer.text
        assert "Traceback" not in answer.text


def test_a_path_with_dots_leads_nowhere_as_it_was_sent(web):
    for path in (
        "/static/../../../../etc/passwd",
        "/media/../../etc/passwd",
        "//etc/passwd",
        "/static/%2e%2e/render.py",
    ):
        said = raw(web, f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
        assert b" 404 " in said.split(b"\r\n")[0]
        assert b"root:" not in said
        assert b"import" not in said


@pytest.mark.parametrize(
    "sql",
    [  # one of each kind; tests/integration/test_sandbox.py has them all
        "COPY (SELECT 1) TO '{lake}/stolen.csv'",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT 1; SELECT 2",
        "SELECT length(repeat('x', 4000000000))",
        "SELECT '\udc80'",
    ],
)
def test_sql_over_http_reads_the_lake_and_nothing_else(web, archive, sql):
    def files() -> dict[str, int]:
        return {str(path): path.stat().st_mtime_ns for path in Path(archive.lake.uri).rglob("*") if path.is_file()}

    before = files()
    body = sql.format(lake=archive.lake.uri).encode("utf-8", "surrogatepass")
    answer = web.post(
        "/api/sql",
        content=b'{"sql": "' + body.replace(b'"', b'\\"') + b'"}',
        headers={"Content-Type": "application/json"},
    )
    assert answer.status_code in (400, 422), answer.text
    assert set(answer.json()) == {"error"}
    assert SECRET not in answer.text
    assert files() == before


def test_a_query_that_never_ends_is_stopped(archive):
    settings = archive.settings.model_copy(update={"sql_seconds": 1.0})
    with serving(settings) as address, httpx.Client(base_url=address, timeout=30) as client:
        started = time.monotonic()
        endless = "SELECT count(*) FROM range(1000000000) a, range(1000000000) b WHERE a.range * b.range % 7 = 3"
        answer = client.post("/api/sql", json={"sql": endless})
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "bad_query")
        assert time.monotonic() - started < 15


@pytest.mark.parametrize("name", ["topic", "language", "of_topic", "phrase", "word"])
def test_filters_are_no_sql(web, name):
    chart = {"of_topic": "distinctive", "phrase": "phrase", "word": "concordance"}.get(name, "hours")
    for value in ("' OR 1=1 --", "'; DROP TABLE videos; --", "\\' OR 1=1", "\x00' OR 1=1", '"', "%27%20OR%201=1"):
        answer = web.get(f"/api/analytics/{chart}", params={name: value})
        assert answer.status_code in (200, 400), answer.text
        if answer.status_code == 200 and name in ("topic", "language"):
            assert answer.json()["rows"] == []
    assert web.get("/api/videos").json()["total"] > 5


@pytest.mark.parametrize(
    "text",
    [SCRIPT, '"><svg onload=alert(1)>', "{{49*101}}${49*101}<%= 49*101 %>", "\u202e\u2066abc", "a\x00b", "😀" * 100],
)
def test_a_query_is_shown_as_it_was_typed_and_does_nothing(web, text):
    for path, name in (
        ("/", "q"),
        (f"/watch/{BANK}", "q"),
        ("/analytics/phrase", "phrase"),
        ("/sql", "q"),
        ("/login", "next"),
    ):
        answer = web.get(path, params={name: text})
        assert answer.status_code in (200, 400)
        assert "<script>alert" not in answer.text
        assert "<svg onload" not in answer.text
        assert "4949" not in answer.text  # what a template engine would make of the sums


def test_a_query_of_ten_megabytes_is_turned_away(web):
    ten = b"a" * 10_000_000
    said = raw(web, b"GET /api/search?q=" + ten + b" HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    assert said == b"" or said.split(b" ")[1] in (b"400", b"414", b"431")
    answer = web.get("/api/search", params={"q": "a" * 40_000})
    assert (answer.status_code, answer.json()["error"]["code"]) == (414, "too_long")
    said = raw(web, b"POST /api/sql HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10000000\r\n\r\n" + ten)
    assert said == b"" or b" 413 " in said.split(b"\r\n")[0]
    head = b"POST /api/sql HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    said = raw(web, head + b"%x\r\n" % len(ten) + ten + b"\r\n0\r\n\r\n")
    assert said == b"" or said.split(b" ")[1][:1] == b"4"
    assert web.get("/api/health").status_code == 200


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
    monkeypatch.setattr("dashboards.patience.UNREAD_S", 1.0)
    monkeypatch.setattr("dashboards.patience.REQUEST_S", 1.0)
    slow = [connected(web, buffer=4096) for _ in range(50)]
    try:
        for number, connection in enumerate(slow):
            if number % 2:  # half never end their question, half never read the answer
                connection.sendall(b"GET /api/search?q=bank HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
            else:
                connection.sendall(f"GET {large} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        assert not hung_up(slow[0], 0.3)  # they are all there
        for path in ("/api/health", "/api/search?q=bank", f"/watch/{BANK}", f"/media/{BANK}/original"):
            started = time.monotonic()
            assert web.get(path).status_code == 200
            assert time.monotonic() - started < 2
        until = time.monotonic() + 10
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


@pytest.mark.parametrize(
    "path", ["/", "/nothing", "/api/nothing", "/api/search", f"/media/{BANK}/original", "/static/style.css", "/login"]
)
def test_every_answer_has_the_headers(web, path):
    answer = web.get(path)
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert "server" not in answer.headers


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


def test_a_name_that_is_not_the_servers_is_refused(web):
    """A page elsewhere whose name was made to mean 127.0.0.1 could else read the archive through its visitor's browser."""
    for host in ("evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "[::1"):
        assert web.get("/api/health", headers={"Host": host}).status_code in (400, 421)
    for host in ("localhost:1", "127.0.0.1", "[::1]:80"):
        assert web.get("/api/health", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
    ],
)
def test_another_site_can_change_nothing(web, headers):
    for path in (f"/api/videos/{BANK}/web-copy", "/api/sql", "/operations/retry", "/login"):
        answer = web.post(path, headers=headers, json={"sql": "SELECT 1"})
        assert answer.status_code == 403


def test_another_site_can_lead_to_a_page_and_use_nothing_of_it(web):
    away = {"Sec-Fetch-Site": "cross-site"}
    for path in ("/sql?q=SELECT+1", f"/media/{BANK}/original", "/api/search?q=bank", "/static/style.css"):
        assert web.get(path, headers={**away, "Sec-Fetch-Mode": "no-cors"}).status_code == 403
        assert web.get(path, headers={**away, "Sec-Fetch-Mode": "navigate"}).status_code == 200


def test_a_retry_wants_the_setting(web):
    assert web.post("/operations/retry").status_code == 404


# -- who may ask --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def locked(archive):
    settings = archive.settings.model_copy(update={"web_token": Settings(web_token=TOKEN).web_token})
    with serving(settings) as address, httpx.Client(base_url=address, timeout=30) as client:
        yield client


def test_without_the_token_nothing_is_told(locked):
    for path in ("/api/search?q=bank", f"/media/{BANK}/original", "/api/openapi.json", "/api/status", "/api/nothing"):
        answer = locked.get(path)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "not_allowed")
    page = locked.get(f"/watch/{BANK}?q=a&at=1")
    assert page.status_code == 303
    assert page.headers["location"] == f"/login?next=/watch/{BANK}%3Fq%3Da%26at%3D1"
    for given in (
        "Bearer wrong",
        f"Bearer {TOKEN[:-1]}",
        f"Basic {TOKEN}",
        "Bearer",
        "Bearer \u00fc".encode("latin-1"),
    ):
        assert locked.get("/api/status", headers={"Authorization": given}).status_code == 401
    assert locked.get("/api/status", headers={"Cookie": f"nightscribe={TOKEN}"}).status_code == 401
    assert locked.get("/api/health").status_code == 200


def test_the_token_opens_the_api_and_the_login_opens_the_pages(locked):
    assert locked.get("/api/status", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    assert locked.post("/login", data={"token": "wrong"}).status_code == 403
    entered = locked.post("/login", data={"token": TOKEN, "next": f"/watch/{BANK}"})
    assert (entered.status_code, entered.headers["location"]) == (303, f"/watch/{BANK}")
    cookie = entered.headers["set-cookie"]
    assert TOKEN not in cookie
    assert "HttpOnly" in cookie
    assert "samesite=lax" in cookie.lower()  # a link in a mail leads into the archive
    followed = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert locked.get(f"/watch/{BANK}", headers=followed).status_code == 200
    locked.cookies.clear()


def test_who_logged_in_can_log_out(locked):
    assert "/logout" not in locked.get("/login").text
    locked.post("/login", data={"token": TOKEN})
    assert '<form class="leave" method="post" action="/logout">' in locked.get("/").text
    assert "/logout" not in locked.get("/login", headers={"Cookie": "nightscribe=wrong"}).text
    assert locked.post("/logout", headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    out = locked.post("/logout")
    assert (out.status_code, out.headers["location"]) == (303, "/login")
    assert locked.get("/").headers["location"] == "/login?next=/"
    assert "/logout" not in locked.get("/", headers={"Authorization": f"Bearer {TOKEN}"}).text


def test_a_login_of_too_many_fields_is_refused(locked):
    answer = locked.post("/login", data={f"field{number}": "x" for number in range(12)})
    assert answer.status_code == 400
    assert "more than 10 fields" in answer.text


def test_tokens_are_not_tried_side_by_side(locked):
    def attempt(token: str) -> int:
        return httpx.post(locked.base_url.join("/login"), data={"token": token}, timeout=30).status_code

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(attempt, [f"wrong {number}" for number in range(6)]))
    assert answers.count(403) < 3
    assert answers.count(403) + answers.count(503) == 6
    assert attempt(TOKEN) == 303


@pytest.mark.parametrize(
    "following",
    ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "", "/\nX: y", "/logout?a"],
)
def test_a_login_leads_nowhere_else(locked, following):
    entered = locked.post("/login", data={"token": TOKEN, "next": following})
    assert entered.headers["location"] == "/"
    locked.cookies.clear()


def test_behind_a_proxy_a_request_without_a_user_is_refused(archive):
    settings = archive.settings.model_copy(update={"web_user_header": "X-Remote-User"})
    with serving(settings) as address, httpx.Client(base_url=address, timeout=30) as client:
        assert client.get("/api/status").status_code == 401
        assert client.get("/api/status", headers={"X-Remote-User": "ann"}).status_code == 200


def test_a_server_for_others_wants_a_token():
    check(Settings())
    check(Settings(web_host="0.0.0.0", web_token=TOKEN))
    check(Settings(web_host="0.0.0.0"), open_to_all=True)
    for host in ("0.0.0.0", "::", "192.168.1.5", "archive.example"):
        with pytest.raises(Misconfigured, match="let everybody in"):
            check(Settings(web_host=host))
