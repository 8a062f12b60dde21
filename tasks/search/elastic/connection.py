"""How Elasticsearch is reached: one place for address, credentials, certificates, and what its failures mean."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from tasks.errors import Misconfigured, SearchUnavailable, first_line
from tasks.settings import SHARED, Settings

if TYPE_CHECKING:  # the official client takes half a second to import, which a search need not wait for
    import httpx
    from elasticsearch import Elasticsearch

log = logging.getLogger("nightscribe")
_HOST = re.compile(r"[^\s/?#@\\\x00-\x20]+")
RETRY_STATUS = (429, 502, 503, 504)
CONNECT_S = 5.0  # a search does not wait longer for a host that does not say a word
WHERE = "Check elasticsearch_url and the server; the lake is not touched by its absence."


@dataclass(frozen=True)
class Connection:
    """Where Elasticsearch is and how to be let in. Its repr has no secret."""

    url: str
    timeout_s: float
    api_key: str | None = field(default=None, repr=False)
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: ssl.SSLContext | None = field(default=None, repr=False)

    @classmethod
    def of(cls, settings: Settings) -> Connection:
        """The connection that the settings name.

        Raises:
            Misconfigured: there is no address, it is none, credentials stand in it, or the certificate cannot be read.
        """
        url = settings.elasticsearch_url
        if not url:
            raise Misconfigured(
                "No Elasticsearch is set.", next="Set elasticsearch_url (NIGHTSCRIBE_ELASTICSEARCH_URL)."
            )
        given, instead = "", ""
        if url == os.environ.get(SHARED["elasticsearch_url"], "").strip():
            given = f" (from {SHARED['elasticsearch_url']})"
            instead = " Or give NIGHTSCRIBE_ELASTICSEARCH_URL, which comes before it; empty, it is none."
        try:
            parts = urlsplit(url)
            named = parts.scheme in ("http", "https") and _HOST.fullmatch(parts.hostname or "") and (parts.port or True)
        except ValueError:
            named = False
        if not named:
            raise Misconfigured(
                f"elasticsearch_url{given} is no address.", next=f"Write it like https://search.example:9200.{instead}"
            )
        if parts.username or parts.password:
            raise Misconfigured(
                f"elasticsearch_url{given} has a user in it, where logs would show the password.",
                next=f"Set elasticsearch_user and elasticsearch_password, or elasticsearch_api_key.{instead}",
            )
        key, user = _credential(settings, "elasticsearch_api_key"), _credential(settings, "elasticsearch_user")
        password = _credential(settings, "elasticsearch_password")
        if password and not user:
            raise Misconfigured("elasticsearch_password is set without a user.", next="Set elasticsearch_user too.")
        if (key or password) and parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
            log.warning("The credentials for Elasticsearch go over the network unencrypted; use an https address.")
        return cls(
            url=url.rstrip("/"),
            timeout_s=settings.elasticsearch_timeout_s,
            api_key=key,
            user=user,
            password=password,
            tls=_tls(settings) if parts.scheme == "https" else None,
        )

    def client(self) -> Elasticsearch:
        """The official client, which tries again what may pass."""
        from elasticsearch import Elasticsearch

        logging.getLogger("elastic_transport").setLevel(logging.ERROR)  # each failed try is not the user's concern
        more: dict[str, Any] = {}
        if self.api_key:
            more["api_key"] = self.api_key
        elif self.user:
            more["basic_auth"] = (self.user, self.password or "")
        if self.tls and self.tls.verify_mode == ssl.CERT_NONE:
            more |= {"verify_certs": False, "ssl_show_warn": False}  # of a context it would take only the certificates
        elif self.tls:
            more["ssl_context"] = self.tls
        return Elasticsearch(
            self.url,
            request_timeout=self.timeout_s,
            retry_on_timeout=True,
            retry_on_status=RETRY_STATUS,
            max_retries=3,
            **more,
        )

    def light(self) -> httpx.Client:
        """A plain HTTP client, ready in a tenth of the time, for the few requests of a search."""
        import httpx

        headers = {"Authorization": f"ApiKey {self.api_key}"} if self.api_key else {}
        auth = (self.user, self.password or "") if self.user and not self.api_key else None
        patience = httpx.Timeout(self.timeout_s, connect=min(CONNECT_S, self.timeout_s))
        logging.getLogger("httpx").setLevel(logging.WARNING)
        # Without https nothing is verified; the certificates that httpx would read all the same take longer than a search.
        return httpx.Client(
            base_url=self.url, headers=headers, auth=auth, timeout=patience, verify=self.tls or False,
            trust_env=False,
        )  # fmt: skip


def _credential(settings: Settings, name: str) -> str | None:
    """A credential without the line end of the file it came from. Others than plain ones break in the libraries, which
    would then print them.

    Raises:
        Misconfigured: it has a character that no header can have; it is not repeated.
    """
    given = getattr(settings, name)
    value = str(given.get_secret_value() if isinstance(given, SecretStr) else given or "").strip("\r\n")
    if not value.isprintable() or (name.endswith("api_key") and not value.isascii()):
        raise Misconfigured(f"{name} has a character that it cannot have.", next="Copy it once more.")
    return value or None


def _tls(settings: Settings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.elasticsearch_ca)
    except (OSError, ssl.SSLError) as error:
        raise Misconfigured(
            f"The certificate {settings.elasticsearch_ca} cannot be read: {error}", next="Check elasticsearch_ca."
        ) from error
    if not settings.elasticsearch_check_tls:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


@contextlib.contextmanager
def reached(what: str) -> Iterator[None]:
    """Only errors of our own leave this context: what the client says becomes one sentence with `what` was done.

    Raises:
        SearchUnavailable: Elasticsearch did not answer, was busy, or refused. Misconfigured: it does not let us in.
    """
    from elasticsearch import ApiError, TransportError

    try:
        yield
    except ApiError as error:
        if error.status_code in (401, 403) and "block" not in str(error.body):
            raise refused(error.status_code) from error
        raise SearchUnavailable(
            f"Elasticsearch did not take {what}: {error.status_code} {reason_of(error.body)}", next=WHERE
        ) from error
    except TransportError as error:
        raise SearchUnavailable(
            f"Elasticsearch did not answer to {what}: {type(error).__name__}: {first_line(error)}", next=WHERE
        ) from error


def refused(status: int) -> Misconfigured:
    """The error of credentials that are missing or not enough."""
    said = "asks who we are" if status == 401 else "does not allow this"
    return Misconfigured(
        f"Elasticsearch {said} ({status}).",
        next="Set elasticsearch_api_key, or elasticsearch_user and elasticsearch_password, with rights on the indices.",
    )


def reason_of(body: Any) -> str:
    """The innermost reason in what Elasticsearch says of an error, in one line."""
    error = body.get("error", body) if isinstance(body, dict) else body
    if isinstance(error, dict):
        cause = error.get("caused_by") or {}
        parts = [str(error.get("type", "error")), str(error.get("reason", ""))]
        if isinstance(cause, dict) and cause.get("reason"):
            parts.append(str(cause["reason"]))
        error = ": ".join(part for part in parts if part)
    return " ".join(str(error).split())[:500]
