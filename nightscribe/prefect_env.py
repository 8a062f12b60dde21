"""What Prefect must be told before it is imported, and which server keeps a run."""

from __future__ import annotations

import contextlib
import logging
import os
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

from nightscribe.temporary_server import TemporaryServer, answers
from tasks.errors import NotSetUp, OrchestrationUnavailable, refuse_password

log = logging.getLogger("nightscribe")


@contextlib.contextmanager
def orchestration(meanwhile: Callable[[], None]) -> Iterator[str]:
    """The address of the server that keeps a run: that of PREFECT_API_URL or the profile, or a temporary one.

    Nothing phones home, and little is printed. Import flows inside this context only. `meanwhile` is called while a
    temporary server starts, which takes seconds.

    Raises:
        Misconfigured: there is a password in the address.
    """
    _be_quiet()
    url = _address()
    if url and answers(url):
        yield url
        return
    if url:
        log.warning("The Prefect server %s does not answer; a temporary one keeps this run.", url)
    else:
        log.info("No Prefect server is set (PREFECT_API_URL); a temporary one keeps this run.")
    with TemporaryServer() as server:
        os.environ["PREFECT_API_URL"] = server.url
        import flows.index  # noqa: F401 - a second that the server needs as well

        meanwhile()
        server.wait()
        yield server.url


@contextlib.contextmanager
def server_that_is_set() -> Iterator[str]:
    """The address of the server that is set, for what needs one that stays. Import flows inside this context only.

    Raises:
        NotSetUp: none is set. OrchestrationUnavailable: it does not answer. Misconfigured: a password is in the address.
    """
    _be_quiet()
    url = _address()
    if not url:
        raise NotSetUp(
            "No Prefect server is set.",
            next="Start one with `prefect server start`, and set PREFECT_API_URL=http://127.0.0.1:4200/api.",
        )
    if not answers(url):
        raise OrchestrationUnavailable(f"The Prefect server {url} does not answer.", next="Start it.")
    yield url


def _address() -> str | None:
    url = os.environ.get("PREFECT_API_URL") or profile_url()
    if url:
        refuse_password(url, "Prefect server (PREFECT_API_URL)")
    return url


def _be_quiet() -> None:
    os.environ["DO_NOT_TRACK"] = "1"
    os.environ["PREFECT_SERVER_ANALYTICS_ENABLED"] = "false"
    # What goes wrong in a run is said by the run itself, once.
    os.environ.setdefault("PREFECT_LOGGING_LEVEL", "CRITICAL")
    os.environ.setdefault("PREFECT_LOGGING_INTERNAL_LEVEL", "CRITICAL")
    os.environ.setdefault("PREFECT_SERVER_LOGGING_LEVEL", "ERROR")


def profile_url() -> str | None:
    """The API address of Prefect's active profile (`prefect config set PREFECT_API_URL=...`).

    Read here, since importing Prefect would settle its settings before a temporary server has an address.
    """
    home = Path(os.environ.get("PREFECT_HOME", Path.home() / ".prefect"))
    path = Path(os.environ.get("PREFECT_PROFILES_PATH", home / "profiles.toml"))
    try:
        with path.open("rb") as handle:
            profiles = tomllib.load(handle)
        active = os.environ.get("PREFECT_PROFILE") or profiles.get("active", "")
        url = profiles.get("profiles", {}).get(active, {}).get("PREFECT_API_URL")
        return str(url) if url else None
    except (OSError, tomllib.TOMLDecodeError, AttributeError):
        return None
