"""How long a run was at its real work: media, model, beam search; overlapping stretches counted once."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator


class WorkClock:
    """Adds up the time in which at least one piece of work is under way, over all threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._under_way = 0
        self._since = 0.0
        self._total = 0.0

    def enter(self) -> None:
        """A piece of work begins."""
        with self._lock:
            if not self._under_way:
                self._since = time.monotonic()
            self._under_way += 1

    def leave(self) -> None:
        """A piece of work ends."""
        with self._lock:
            self._under_way -= 1
            if not self._under_way:
                self._total += time.monotonic() - self._since

    @contextlib.contextmanager
    def working(self) -> Iterator[None]:
        """Work lasts as long as the context."""
        self.enter()
        try:
            yield
        finally:
            self.leave()

    @property
    def seconds(self) -> float:
        """So far."""
        with self._lock:
            return self._total + (time.monotonic() - self._since if self._under_way else 0.0)
