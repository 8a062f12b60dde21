"""A Prefect server for one run, where none is set: on loopback, over Prefect's own database, ended with its parent.

Prefect's own temporary server outlives a parent that was killed. This one looks every second whether the parent still
lives, and it starts while the parent is still importing. One that dies is started again on the same port, where what was
asked meanwhile waits for it. Runs that start at the same moment share Prefect's database: its migrations are no work for
two at once, so servers start one after the other.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType

from tasks.errors import OrchestrationUnavailable
from tasks.machine.lifetime import end_with

log = logging.getLogger("nightscribe")

START_S = 120.0
RESTARTS = 3


class TemporaryServer:
    """Starts on entry without waiting; `wait()` returns when it answers. From then on it is kept up."""

    def __init__(self) -> None:
        # Bound here and handed down: a port that is only looked up may be another's by the time the server starts. Kept
        # open, so that what asks while there is no server waits for the next one.
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/api"
        self._process: subprocess.Popen[bytes] | None = None
        self._environment = {**os.environ, "PREFECT_UI_ENABLED": "false"}
        self._environment.pop("PREFECT_API_URL", None)
        self._keeper = threading.Thread(target=self._keep_up, daemon=True)
        self._ending, self._changing = False, threading.Lock()
        # What a server says that is ended in the middle of its work is no news to a user.
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 - closed on exit
        self._said_before = 0

    def __enter__(self) -> TemporaryServer:
        self._start()
        return self

    def _start(self) -> None:
        listener = self._socket.fileno()
        command = [sys.executable, "-P", "-m", "nightscribe.temporary_server", str(listener), str(os.getpid())]
        self._said_before = self._said.seek(0, os.SEEK_END)
        # A session of its own: Ctrl-C in the terminal must not end it before the run has said that it was interrupted.
        self._process = subprocess.Popen(
            command,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=self._said,
            stderr=self._said,
            start_new_session=True,
            pass_fds=[listener],
        )

    def wait(self) -> None:
        """Return when the server answers.

        Raises:
            OrchestrationUnavailable: it ended, or gave no answer in two minutes.
        """
        assert self._process is not None
        limit = time.monotonic() + START_S
        while time.monotonic() < limit and self._process.poll() is None:
            if answers(self.url, timeout=1):
                self._keeper.start()
                return
            time.sleep(0.1)
        raise OrchestrationUnavailable(
            f"Prefect's temporary server did not start{self._cause()}; nothing was begun.",
            next="Run the same command again, or set PREFECT_API_URL to a server that runs.",
        )

    def _keep_up(self) -> None:
        try:
            for restarts in range(RESTARTS + 1):
                assert self._process is not None
                self._process.wait()
                with self._changing:
                    if self._ending:
                        return
                    following = "it is started again" if restarts < RESTARTS else "it is not started again"
                    log.warning("Prefect's temporary server ended by itself%s; %s.", self._cause(), following)
                    if restarts < RESTARTS:
                        self._start()
        except OSError as error:
            log.warning("Prefect's temporary server cannot be started again: %s", error)
        finally:
            self._socket.close()  # who asks now is told at once

    def _cause(self) -> str:
        """The signal that ended the server, or the last line that it wrote, in brackets."""
        code = self._process.returncode if self._process else None
        if code is not None and code < 0:
            return f" ({signal.strsignal(-code) or f'signal {-code}'})"
        self._said.seek(self._said_before)
        lines = self._said.read().decode("utf-8", "replace").strip().splitlines()
        told = [line for line in lines if not line.startswith("(Background on")]  # SQLAlchemy's last word, a link
        return f" ({told[-1].strip()[:300]})" if told else ""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changing:
            self._ending = True
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._keeper.ident is not None:
            self._keeper.join()
        self._socket.close()
        self._said.close()


def answers(url: str, *, timeout: float = 30) -> bool:
    """Whether a Prefect API answers at `url` within `timeout` seconds, which a busy one may need; at once if nothing is there."""
    try:
        with urllib.request.urlopen(f"{url.rstrip('/')}/health", timeout=timeout) as answer:  # noqa: S310 - the user's own
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError, ValueError):
        return False


def _serve(listener: int, parent: int) -> None:
    end_with(parent)
    import uvicorn
    from filelock import FileLock
    from prefect.server.api.server import create_app
    from prefect.settings import get_current_settings

    home = Path(get_current_settings().home)
    home.mkdir(parents=True, exist_ok=True)
    lock = FileLock(home / "nightscribe-start.lock", timeout=START_S)

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            with lock:
                await super().startup(sockets)

    # Ephemeral: no scheduler, no late-run marking; this server has one run to keep.
    config = uvicorn.Config(create_app(ephemeral=True), log_level="error", lifespan="on")
    Server(config).run(sockets=[socket.socket(fileno=listener)])


if __name__ == "__main__":
    _serve(int(sys.argv[1]), int(sys.argv[2]))
