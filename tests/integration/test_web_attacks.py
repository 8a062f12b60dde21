"""Attacks on the web app through a real server: other sites, paths, SQL, script, size."""

from __future__ import annotations

import contextlib
import socket
import time
from pathlib import Path
from urllib.parse import quote, urlsplit

import httpx
import pytest
from web_archive import BANK, SCRIPT, archive, serving, web  # noqa: F401

from dashboards.guard import HEADERS

SECRET = "root:"  # of /etc/passwd


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


@pytest.mark.parametrize(
    "path", ["/", "/nothing", "/api/nothing", "/api/search", f"/media/{BANK}/original", "/static/style.css", "/login"]
)
def test_every_answer_has_the_headers(web, path):
    answer = web.get(path)
    assert {name: answer.headers[name] for name in HEADERS} == HEADERS
    assert "unsafe" not in answer.headers["content-security-policy"]
    assert "server" not in answer.headers


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
