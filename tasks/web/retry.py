"""Trying failed videos again at a reader's wish: `nightscribe index --retry-failed` as a process of its own, one at a time."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tasks.errors import TooBusy
from tasks.settings import Settings
from tasks.web.snapshots import View

LOG = "web-retry.log"
INTERRUPTED = 130  # as a run that is interrupted ends


@dataclass(frozen=True)
class RetryState:
    """`exit_code` is that of the last run: 0 when nothing failed again."""

    state: Literal["idle", "running", "ended"] = "idle"
    exit_code: int | None = None


def buckets_with_failures(view: View) -> list[str]:
    """The buckets in which videos have failed."""
    rows = view.rows("SELECT DISTINCT coalesce(bucket_uri, bucket) FROM videos WHERE status = 'failed' ORDER BY 1")
    return [row[0] for row in rows if row[0]]


class Retrier:
    """Starts such runs with the settings of the server; what they say goes to a file in scratch."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._state = RetryState()
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = False

    @property
    def state(self) -> RetryState:
        with self._lock:
            return self._state

    def start(self, buckets: Sequence[str]) -> RetryState:
        """Begin.

        Raises:
            TooBusy: one is under way.
        """
        with self._lock:
            if self._state.state == "running":
                raise TooBusy("Failed videos are being tried again already.")
            self._state = RetryState("running")
        threading.Thread(target=self._run, args=(tuple(buckets),), daemon=True).start()
        return RetryState("running")

    def close(self) -> None:
        """Stop the run, and start none for the buckets that are left; what is committed stays, the next run does the rest."""
        with self._lock:
            self._stopping = True
            if self._process is not None and self._process.poll() is None:
                self._process.terminate()

    def _run(self, buckets: tuple[str, ...]) -> None:
        worst = 0
        try:
            for bucket in buckets:
                worst = max(worst, self._index(bucket))
        except OSError:
            worst = 1
        finally:
            with self._lock:
                self._state = RetryState("ended", worst)

    def _index(self, bucket: str) -> int:
        settings = self._settings
        Path(settings.scratch).mkdir(parents=True, exist_ok=True)
        environment = {
            **os.environ,
            "NIGHTSCRIBE_LAKE": settings.lake,
            "NIGHTSCRIBE_SCRATCH": str(settings.scratch),
            "NIGHTSCRIBE_MODELS": settings.models,
        }
        # Behind `--`, no name can be an option; with -P, nothing in the working folder is taken for this program.
        command = [sys.executable, "-P", "-m", "nightscribe", "index", "--retry-failed", "--", bucket]
        with open(Path(settings.scratch, LOG), "ab") as log:
            with self._lock:
                if self._stopping:
                    return INTERRUPTED
                process = self._process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
                )
            return abs(process.wait())
