"""What stands before every route: who may ask, under which name, how much, and the headers that every answer carries."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import ipaddress
from collections.abc import Iterable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboards.problems import answer_problem
from tasks.settings import Settings

COOKIE = "nightscribe"
LONGEST_QUERY = 32_768  # bytes of an address
LARGEST_BODY = 262_144
OPEN_PATHS = ("/login", "/static/", "/api/health")
ONLY_HEAD = "nightscribe.only_head"  # in a scope: nobody wants the body
SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; "
    "connect-src 'self'; font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=()",
}


class Guard:
    """The outermost layer of the application. Refuses what is too long, strangers, requests from other sites that would
    change something, and unknown host names: a page elsewhere could otherwise reach a server on loopback by a name of its
    own."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self._hosts = None if not is_loopback(settings.web_host) and not settings.web_hosts else _names(settings)
        self._token = settings.web_token.get_secret_value() if settings.web_token else None
        self._user_header = settings.web_user_header

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        only_head = scope["method"] == "HEAD"
        if only_head:  # what can be got has a head
            scope = {**scope, "method": "GET", ONLY_HEAD: True}
        body = _Body(receive)

        async def guarded(message: Message) -> None:
            if only_head and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    answer[name] = value
                answer.setdefault("Cache-Control", "no-cache, private")
                if body.too_large or message["status"] == 413:
                    answer["Connection"] = "close"  # else the rest of the request would be waited for
            await send(message)

        refused = self._refused(scope, headers)
        if refused is not None:
            status, code, message = refused
            answer = answer_problem(scope, status, code, message)
            if status == 401 and not scope["path"].startswith(("/api/", "/media/")):
                back = scope["path"] + (f"?{scope['query_string'].decode('latin-1')}" if scope["query_string"] else "")
                answer = answer_problem(scope, 303, code, message, {"Location": f"/login?next={quote(back, safe='/')}"})
            await answer(scope, receive, guarded)
            return
        # What goes wrong unforeseen has been answered and logged below, and is raised again for a server to log.
        with contextlib.suppress(Exception):
            await self.app(scope, body.receive, guarded)

    def _refused(self, scope: Scope, headers: Headers) -> tuple[int, str, str] | None:
        host = _host_name(headers.get("host", ""))
        if self._hosts is not None and host not in self._hosts:
            return 421, "unknown_host", "This server is not called by that name. Its names are set with web_hosts."
        if len(scope["query_string"]) + len(scope.get("raw_path") or b"") > LONGEST_QUERY:
            return 414, "too_long", "The address is too long."
        length = headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit() or int(length[:20]) > LARGEST_BODY:
            return 413, "too_large", "The request is too large."
        if not self.allowed(scope["path"], headers):
            return 401, "not_allowed", "This archive asks for a token."
        if _from_elsewhere(scope["method"], headers):
            return 403, "other_site", "This request comes from another site."
        return None

    def allowed(self, path: str, headers: Headers) -> bool:
        """Whether the asker has shown the token, or the proxy has named a user, where either is wanted."""
        if path.startswith(OPEN_PATHS):
            return True
        if self._user_header and headers.get(self._user_header):
            return True
        if self._token is None:
            return not self._user_header
        given = headers.get("authorization", "")
        if given.lower().startswith("bearer ") and same(given[7:].strip(), self._token):
            return True
        return same(_cookie(headers), session_of(self._token))


def session_of(token: str) -> str:
    """What the cookie holds: not the token itself; another token makes it worthless."""
    return hmac.new(token.encode(), b"nightscribe session 1", hashlib.sha256).hexdigest()


def same(given: str, wanted: str) -> bool:
    """Whether two texts are equal, in a time that does not say how much of them is."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), wanted.encode())


def is_loopback(host: str) -> bool:
    """Whether an address is of this machine alone."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _names(settings: Settings) -> frozenset[str]:
    own: Iterable[str] = ("localhost", "127.0.0.1", "::1", settings.web_host, *settings.web_hosts)
    return frozenset(name.strip("[]").lower() for name in own)


def _host_name(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _from_elsewhere(method: str, headers: Headers) -> bool:
    """Whether another site's page asks for more than that its visitor follows a link to ours (Fetch Metadata)."""
    site, safe = headers.get("sec-fetch-site"), method in SAFE_METHODS
    if site is not None:
        return site not in ("same-origin", "none") and not (safe and headers.get("sec-fetch-mode") == "navigate")
    origin = headers.get("origin")
    return not safe and origin is not None and origin.partition("://")[2].lower() != headers.get("host", "").lower()


def _cookie(headers: Headers) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


class _Body:
    """The body of a request that does not say how long it is, cut off behind the largest that is taken."""

    def __init__(self, receive: Receive) -> None:
        self._receive, self._taken = receive, 0

    @property
    def too_large(self) -> bool:
        return self._taken > LARGEST_BODY

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._taken += len(message.get("body", b""))
        return {"type": "http.disconnect"} if self.too_large else message
