"""What the routes of one server share: settings, the lake's snapshots, media, and how many may do what at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import anyio
import anyio.to_thread
from fastapi import Request

from tasks.errors import TooBusy
from tasks.lake.store import Lake
from tasks.settings import Settings
from tasks.web.cache import FolderCache
from tasks.web.copies import Copies
from tasks.web.media import Originals
from tasks.web.retry import Retrier
from tasks.web.searching import Engines
from tasks.web.snapshots import Snapshots, View

_T = TypeVar("_T")
PICTURES_AT_ONCE = 2
PICTURES_WAITING = 100
QUERIES_AT_ONCE = 2  # of the SQL page, each a process of its own


@dataclass
class Lanes:
    """Threads for each kind of work, so that none can take those of another. Made inside the server's event loop."""

    reads: anyio.CapacityLimiter
    pictures: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(PICTURES_AT_ONCE))
    queries: anyio.CapacityLimiter = field(default_factory=lambda: anyio.CapacityLimiter(QUERIES_AT_ONCE))


class Web:
    """One server's state. `of(request)` finds it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.lake = Lake(settings.lake)
        cache = settings.scratch / "web"
        self.snapshots = Snapshots(
            self.lake,
            reads=settings.web_reads,
            waiting=settings.web_waiting,
            seconds=settings.web_seconds,
            memory_mb=settings.web_memory_mb,
            spill=cache / "spill",
        )
        self.engines = Engines(settings)
        self.originals = Originals(settings)
        self.cache = FolderCache(cache, most_mb=settings.web_cache_mb)
        self.copies = Copies(self.cache, settings)
        self.retrier = Retrier(settings)
        self.lanes = Lanes(anyio.CapacityLimiter(settings.web_reads + settings.web_waiting))

    @staticmethod
    def of(request: Request) -> Web:
        web: Web = request.app.state.web
        return web

    async def read(self, work: Callable[[View], _T]) -> _T:
        """What `work` makes of a snapshot, in a thread (see `Snapshots.read`)."""
        return await self.bounded(lambda: self.snapshots.read(work), self.lanes.reads, self.settings.web_waiting)

    async def picture(self, work: Callable[[], _T]) -> _T:
        """What ffmpeg makes, a few at a time."""
        return await self.bounded(work, self.lanes.pictures, PICTURES_WAITING)

    @staticmethod
    async def bounded(work: Callable[[], _T], lane: anyio.CapacityLimiter, waiting: int) -> _T:
        """Run `work` in a thread of a lane.

        Raises:
            TooBusy: too many wait for it already.
        """
        if lane.statistics().tasks_waiting > waiting:
            raise TooBusy("Too many questions at once.", next="Ask again in a moment.")
        return await anyio.to_thread.run_sync(work, limiter=lane)

    def close(self) -> None:
        self.retrier.close()
        self.copies.close()
        self.snapshots.close()
