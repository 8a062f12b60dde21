"""The server: uvicorn with the limits that the web app wants."""

from __future__ import annotations

import logging
import resource
import socket

import uvicorn

from dashboards.app import create_app
from dashboards.guard import is_loopback
from dashboards.login import Sessions
from dashboards.patience import FairProtocol, PatientProtocol
from tasks.errors import Misconfigured
from tasks.settings import Settings

log = logging.getLogger("nightscribe")
CONNECTIONS = 500  # at one time; more are turned away
FILES = 4 * CONNECTIONS  # descriptors: two for each connection, and as many for the lake, pipes and pictures
IDLE_S = 30  # a connection on which nothing is asked


def check(settings: Settings, *, open_to_all: bool = False) -> None:
    """Refuse what would open the archive to a network by oversight.

    Raises:
        Misconfigured: it would listen on more than this machine, and ask nobody for anything.
    """
    if is_loopback(settings.web_host) or settings.web_token or settings.web_user_header:
        return
    if not open_to_all:
        raise Misconfigured(
            f"{settings.web_host} can be reached from elsewhere, and the server would let everybody in.",
            next="Set NIGHTSCRIBE_WEB_TOKEN, or web_user_header behind a proxy, or say --open if that is meant.",
        )
    log.warning("Everybody who reaches %s can read this archive.", settings.web_host)


def serve(settings: Settings, *, open_to_all: bool = False) -> None:
    """Serve until interrupted.

    Raises:
        Misconfigured: see `check`; or the address cannot be listened on.
    """
    check(settings, open_to_all=open_to_all)
    _allow_files()
    listening = _listen(settings)
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    log.info("Nightscribe is at http://%s:%s/  (Ctrl C ends it)", shown, port)
    try:
        make_server(settings).run(sockets=[listening])
    finally:
        listening.close()


def make_server(settings: Settings) -> uvicorn.Server:
    """A server that can be run on a listening socket."""
    config = uvicorn.Config(
        Sessions(create_app(settings), settings),
        log_level="warning",
        access_log=False,
        server_header=False,
        limit_concurrency=CONNECTIONS,
        timeout_keep_alive=IDLE_S,
        timeout_graceful_shutdown=5,
        h11_max_incomplete_event_size=65_536,
        http=PatientProtocol if settings.web_user_header else FairProtocol,  # a proxy is one address for all
        ws="none",
    )
    return uvicorn.Server(config)


def _allow_files() -> None:
    """Raise the soft limit of open files, 1024 on many systems, as far as may be and is needed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        log.debug("Up to %s files may be open.", wanted)


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.web_host else socket.AF_INET
    try:
        made = socket.socket(family)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((settings.web_host.strip("[]"), settings.web_port))
        made.listen(128)
    except OSError as error:
        raise Misconfigured(
            f"The server cannot listen on {settings.web_host}:{settings.web_port}: {error.strerror or error}.",
            next="Name another port with --port.",
        ) from error
    return made
