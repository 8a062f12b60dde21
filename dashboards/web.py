"""What the routes of one server share: settings, the lake's snapshots, media, and how many may do what at once."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, TypeVar

import anyio
import anyio.to_thread
from fastapi import Request

from tasks.errors import TooBusy
from tasks.lake.store import Lake
from tasks.settings import Settings
from tasks.web.cache import FolderCache
from tasks.web.copies import Copies
from tasks.web.media import Original, Originals
from tasks.web.near import possible
from tasks.web.retry import Retrier
from tasks.web.searching import Engines
from tasks.web.snapshots import Snapshots, View
from tasks.web.videos import video_row

_T = TypeVar("_T")
PICTURES_AT_ONCE = 2
QUERIES_AT_ONCE = 2  # of the SQL page, each a process of its own
MODELS_AT_ONCE = 1
LOOKS_AT_ONCE = 8  # for objects in buckets, and at Elasticsearch: mostly waiting
ROWS_KEPT, ROWS_FRESH_S = 1000, 15.0  # of videos whose media are asked for in many parts


class Lane:
    """Work of one kind in threads: `at_once` of it, and `waiting` in line, each for `patience_s` at most.

    Each kind has a lane of its own, so that none takes the places of another.
    """

    def __init__(self, at_once: int, *, waiting: int, patience_s: float) -> None:
        self._turns, self._threads = anyio.CapacityLimiter(at_once), anyio.CapacityLimiter(at_once)
        self._waiting, self._patience_s = waiting, patience_s

    async def run(self, work: Callable[[], _T]) -> _T:
        """What `work` returns or raises.

        Raises:
            TooBusy: too many wait already, or its turn did not come.
        """
        if self._turns.statistics().tasks_waiting >= self._waiting and not self._turns.available_tokens:
            raise TooBusy("Too many questions at once.", next="Ask again in a moment.")
        asker = object()
        with anyio.move_on_after(self._patience_s) as patience:
            await self._turns.acquire_on_behalf_of(asker)
        if patience.cancelled_caught:
            raise TooBusy("Too many questions at once.", next="Ask again in a moment.")
        try:
            return await anyio.to_thread.run_sync(work, limiter=self._threads)
        finally:
            self._turns.release_on_behalf_of(asker)


class Web:
    """One server's state. `of(request)` finds it."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.lake = Lake(settings.lake)
        cache = settings.scratch / "web"
        self.snapshots = Snapshots(
            self.lake,
            seconds=settings.web_seconds,
            memory_mb=settings.web_memory_mb,
            spill=cache / "spill",
        )
        self.engines = Engines(settings)
        self.originals = Originals(settings)
        # Objects fetched from elsewhere have half of the space, so that they push out no pictures and copies.
        self.cache = FolderCache(cache / "made", most_mb=settings.web_cache_mb // 2)
        self.fetched = FolderCache(cache / "fetched", most_mb=settings.web_cache_mb // 2)
        self.copies = Copies(self.cache, self.fetched, settings)
        self.retrier = Retrier(settings)
        self.senses = possible(settings)
        line: dict[str, Any] = {"waiting": settings.web_waiting, "patience_s": settings.web_seconds}
        self._reads = Lane(settings.web_reads, **line)
        self._pictures = Lane(PICTURES_AT_ONCE, **line)
        self._queries = Lane(QUERIES_AT_ONCE, **line)
        self._models = Lane(MODELS_AT_ONCE, **line)
        self._looks = Lane(LOOKS_AT_ONCE, **line)
        self._rows: OrderedDict[str, tuple[float, dict[str, Any]]] = OrderedDict()

    @staticmethod
    def of(request: Request) -> Web:
        web: Web = request.app.state.web
        return web

    async def read(self, work: Callable[[View], _T]) -> _T:
        """What `work` makes of a snapshot, in a thread (see `Snapshots.read`)."""
        return await self._reads.run(lambda: self.snapshots.read(work))

    async def picture(self, work: Callable[[], _T]) -> _T:
        """What ffmpeg makes, a few at a time."""
        return await self._pictures.run(work)

    async def query(self, work: Callable[[], _T]) -> _T:
        """What a query in the sandbox answers."""
        return await self._queries.run(work)

    async def model(self, work: Callable[[], _T]) -> _T:
        """What a model makes of a text; the first time it is loaded, which takes seconds."""
        return await self._models.run(work)

    async def look(self, work: Callable[[], _T]) -> _T:
        """What a bucket or Elasticsearch says."""
        return await self._looks.run(work)

    async def video_row(self, video_id: str) -> dict[str, Any]:
        """The row of a video whose media are asked for. It may be some seconds old: a player asks for hundreds of parts,
        and none should wait behind charts.

        Raises:
            NotFound: there is none with this id.
        """
        known = self._rows.get(video_id)
        if known is not None and time.monotonic() < known[0]:
            return known[1]
        row = await self.read(lambda view: video_row(view, video_id))
        self._rows[video_id] = time.monotonic() + ROWS_FRESH_S, row
        self._rows.move_to_end(video_id)
        while len(self._rows) > ROWS_KEPT:
            self._rows.popitem(last=False)
        return row

    async def original(self, video_id: str) -> tuple[dict[str, Any], Original]:
        """A video's row, and its object as it is now.

        Raises:
            NotFound: there is no such video, or its object is gone. BucketNotFound, AccessDenied, StorageBusy.
        """
        row = await self.video_row(video_id)
        return row, await self.look(lambda: self.originals.find(row))

    def close(self) -> None:
        self.retrier.close()
        self.copies.close()
        self.snapshots.close()
