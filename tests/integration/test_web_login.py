"""Who may ask a server: the token, the login, and a proxy that names its users."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from web_archive import BANK, archive, serving  # noqa: F401

from dashboards.serve import check
from tasks.errors import Misconfigured
from tasks.settings import Settings

TOKEN = "a-long-secret"


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
