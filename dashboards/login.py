"""The page that asks for the token, where one is set; and the way out."""

from __future__ import annotations

import asyncio
import threading
from contextvars import ContextVar
from urllib.parse import parse_qs, urlsplit

from fastapi import APIRouter, Request
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from dashboards.guard import COOKIE, same, session_of
from dashboards.render import environment, render
from dashboards.web import Web
from tasks.errors import BadQuery, TooBusy
from tasks.settings import Settings

WRONG_S = 1.0  # how long a wrong token is answered after
MOST_FIELDS = 10
DAYS = 30

_trying = threading.Lock()  # held while a token is looked at and, if it was wrong, until that is said
_by_cookie: ContextVar[bool] = ContextVar("by_cookie", default=False)
environment().globals["by_cookie"] = _by_cookie.get

page_router = APIRouter(include_in_schema=False)


@page_router.get("/login")
async def ask(request: Request) -> Response:
    return _page(_within(request.query_params.get("next", "")))


@page_router.post("/login")
async def enter(request: Request) -> Response:
    """The token comes as a form; the cookie has no token in it, and scripts cannot read it."""
    try:
        form = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=MOST_FIELDS)
    except ValueError as error:
        raise BadQuery(f"The form has more than {MOST_FIELDS} fields.") from error
    following = _within(form.get("next", [""])[0])
    token = Web.of(request).settings.web_token
    # Tokens that are tried side by side would all be looked at in the time that one wrong one takes.
    if not _trying.acquire(blocking=False):
        raise TooBusy("Another token is being looked at.", next="Try again in a moment.")
    try:
        if token is None or not same(form.get("token", [""])[0], token.get_secret_value()):
            await asyncio.sleep(WRONG_S)
            return _page(following, wrong=True)
    finally:
        _trying.release()
    answer = RedirectResponse(following, 303)
    # Not `strict`: a link to a moment is followed from mails and chats too. What changes something is refused to others' pages
    # by the guard.
    answer.set_cookie(
        COOKIE, session_of(token.get_secret_value()), max_age=DAYS * 86_400, httponly=True, samesite="lax",
        secure=request.url.scheme == "https",
    )  # fmt: skip
    return answer


@page_router.post("/logout")
async def leave(request: Request) -> Response:
    """Forget the login in this browser."""
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(COOKIE, httponly=True, samesite="lax", secure=request.url.scheme == "https")
    return answer


class Sessions:
    """A layer that tells the pages whether their reader came in by the cookie, and so can log out."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self._session = session_of(settings.web_token.get_secret_value()) if settings.web_token else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._session is not None:
            _by_cookie.set(same(HTTPConnection(scope).cookies.get(COOKIE, ""), self._session))
        await self.app(scope, receive, send)


def _page(following: str, *, wrong: bool = False) -> Response:
    page = render("login.html", title="Enter", following=following, wrong=wrong)
    return HTMLResponse(page, 403 if wrong else 200)


def _within(address: str) -> str:
    """A place of this site; anything that might lead elsewhere becomes the first page."""
    plain = address.isascii() and address.isprintable() and "\\" not in address
    within = plain and address.startswith("/") and not address.startswith("//")
    return address if within and urlsplit(address).path not in ("/login", "/logout") else "/"
