"""The page that asks for the token, where one is set."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from dashboards.guard import COOKIE, same, session_of
from dashboards.render import render
from dashboards.web import Web

WRONG_S = 1.0  # how long a wrong token is answered after
DAYS = 30

page_router = APIRouter(include_in_schema=False)


@page_router.get("/login")
async def ask(request: Request) -> Response:
    return _page(_within(request.query_params.get("next", "")))


@page_router.post("/login")
async def enter(request: Request) -> Response:
    """The token comes as a form; the cookie has no token in it, and scripts cannot read it."""
    form = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=10)
    following = _within(form.get("next", [""])[0])
    token = Web.of(request).settings.web_token
    if token is None or not same(form.get("token", [""])[0], token.get_secret_value()):
        await asyncio.sleep(WRONG_S)
        return _page(following, wrong=True)
    answer = RedirectResponse(following, 303)
    answer.set_cookie(
        COOKIE, session_of(token.get_secret_value()), max_age=DAYS * 86_400, httponly=True, samesite="strict",
        secure=request.url.scheme == "https",
    )  # fmt: skip
    return answer


def _page(following: str, *, wrong: bool = False) -> Response:
    page = render("login.html", title="Enter", following=following, wrong=wrong)
    return HTMLResponse(page, 403 if wrong else 200)


def _within(address: str) -> str:
    """A place of this site; anything that might lead elsewhere becomes the first page."""
    plain = address.isascii() and address.isprintable() and "\\" not in address
    return address if plain and address.startswith("/") and not address.startswith("//") else "/"
