"""Reading the lake for many at once: every reader sees one snapshot from start to end, and few connections are kept.

The newest snapshot is shared by all who come while the lake stays as it is. When a commit has moved it on, a new one is
opened, and the older is closed as soon as its last reader is done.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import duckdb

from tasks.errors import ReadTooLong, TooBusy
from tasks.lake.schema import TABLES
from tasks.lake.store import Lake
from tasks.lake.views import Snapshot, connect, damage

_T = TypeVar("_T")
REMOTE_FRESH_S = 5.0  # a lake in a bucket is asked for its versions so seldom
TRIES = 3  # of a read whose files were vacuumed under it
KEPT_ANSWERS = 256


@dataclass
class Answers:
    """What was computed on one snapshot and may be asked again; the least recently used goes first."""

    most: int = KEPT_ANSWERS
    _kept: OrderedDict[Hashable, Any] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, key: Hashable, make: Callable[[], _T]) -> _T:
        """The answer under `key`, made if it is not there. Two who come at once may both make it."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                found: _T = self._kept[key]
                return found
        made = make()
        with self._lock:
            self._kept[key] = made
            while len(self._kept) > self.most:
                self._kept.popitem(last=False)
        return made


@dataclass(frozen=True)
class View:
    """The lake as one reader sees it. `connection` is the reader's own, with temporary tables of its own."""

    lake: Lake
    connection: duckdb.DuckDBPyConnection
    snapshot: Snapshot
    answers: Answers

    def rows(self, sql: str, parameters: object = None) -> list[tuple[Any, ...]]:
        """All rows of a query."""
        return self.connection.execute(sql, parameters).fetchall()

    def dicts(self, sql: str, parameters: object = None) -> list[dict[str, Any]]:
        """All rows of a query, by the names of their columns."""
        done = self.connection.execute(sql, parameters)
        names = [column[0] for column in done.description or ()]
        return [dict(zip(names, row, strict=True)) for row in done.fetchall()]


@dataclass
class _Open:
    snapshot: Snapshot
    connection: duckdb.DuckDBPyConnection
    signature: Hashable
    answers: Answers = field(default_factory=Answers)
    readers: int = 0
    outdated: bool = False


class Snapshots:
    """Opens views of a lake.

    At most `reads` are read at a time, and `waiting` wait; a read is stopped after `seconds`. DuckDB takes `memory_mb`
    in all, and spills into `spill` beyond that.
    """

    def __init__(self, lake: Lake, *, reads: int, waiting: int, seconds: float, memory_mb: int, spill: Path) -> None:
        self.lake = lake
        self._seconds, self._memory_mb, self._spill = seconds, memory_mb, spill
        self._turns = threading.BoundedSemaphore(reads)
        self._room = threading.BoundedSemaphore(reads + waiting)
        self._lock = threading.Lock()
        self._opening = threading.Lock()
        self._newest: _Open | None = None

    def read(self, work: Callable[[View], _T]) -> _T:
        """What `work` makes of one snapshot. It is called again on a newer one when the files of its own were vacuumed.

        Raises:
            TooBusy: too many wait already. ReadTooLong: it was stopped. Misconfigured: there is no lake.
            LakeUnreadable: a file of it is missing or damaged.
        """
        if not self._room.acquire(blocking=False):
            raise TooBusy("Too many questions at once.", next="Ask again in a moment.")
        try:
            if not self._turns.acquire(timeout=self._seconds):
                raise TooBusy("Too many questions at once.", next="Ask again in a moment.")
            try:
                return self._read(work)
            finally:
                self._turns.release()
        finally:
            self._room.release()

    def close(self) -> None:
        """Let go of the newest snapshot."""
        with self._lock:
            if self._newest is not None:
                self._retire(self._newest)
                self._newest = None

    @property
    def open_readers(self) -> int:
        """Readers of the newest snapshot at this moment."""
        with self._lock:
            return self._newest.readers if self._newest else 0

    def _read(self, work: Callable[[View], _T]) -> _T:
        for attempt in range(1, TRIES + 1):
            held = self._hold(anew=attempt > 1)
            try:
                return self._timed(held, work)
            except duckdb.InterruptException as error:
                raise ReadTooLong(
                    f"The answer took longer than {self._seconds:g} seconds and was stopped.",
                    next="Ask for less: a shorter time, a rarer word.",
                ) from error
            except duckdb.Error as error:
                unreadable = damage(error)
                if unreadable is None:
                    raise
                if attempt == TRIES:
                    raise unreadable from error
            finally:
                self._release(held)
        raise AssertionError("unreachable")

    def _timed(self, held: _Open, work: Callable[[View], _T]) -> _T:
        cursor = held.connection.cursor()
        cursor.execute("SET TimeZone = 'UTC'")  # a cursor starts with settings of its own
        cursor.execute("SET parquet_metadata_cache = true")

        def stop() -> None:
            with contextlib.suppress(duckdb.Error):  # it was done at that very moment
                cursor.interrupt()

        alarm = threading.Timer(self._seconds, stop)
        alarm.daemon = True
        alarm.start()
        try:
            return work(View(self.lake, cursor, held.snapshot, held.answers))
        finally:
            alarm.cancel()
            cursor.close()

    def _hold(self, *, anew: bool) -> _Open:
        with self._opening:  # one opens, the others wait for what it opened
            signature = self._signature()
            with self._lock:
                newest = self._newest
                if newest is not None and newest.signature == signature and not anew:
                    newest.readers += 1
                    return newest
            snapshot = Snapshot.of(self.lake)
            connection = connect(self.lake, snapshot)
            connection.execute(f"SET memory_limit = '{self._memory_mb}MB'")
            connection.execute("SET temp_directory = $folder", {"folder": str(self._spill)})
            opened = _Open(snapshot, connection, signature, readers=1)
            with self._lock:
                if self._newest is not None:
                    self._retire(self._newest)
                self._newest = opened
            return opened

    def _signature(self) -> Hashable:
        """What changes with every commit: the times of the logs' folders, or of a lake elsewhere, the clock."""
        if not self.lake.local:
            return int(time.monotonic() / REMOTE_FRESH_S)
        times = []
        for name in TABLES:
            try:
                times.append(Path(self.lake.path(name), "_delta_log").stat().st_mtime_ns)
            except OSError:
                times.append(0)
        return tuple(times)

    def _release(self, held: _Open) -> None:
        with self._lock:
            held.readers -= 1
            if held.outdated and not held.readers:
                held.connection.close()

    def _retire(self, old: _Open) -> None:
        old.outdated = True
        if not old.readers:
            old.connection.close()
