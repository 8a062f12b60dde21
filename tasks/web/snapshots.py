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

from tasks.errors import ReadTooLong
from tasks.lake.schema import TABLES
from tasks.lake.store import Lake
from tasks.lake.views import Snapshot, connect, damage

_T = TypeVar("_T")
REMOTE_FRESH_S = 5.0  # a lake in a bucket is asked for its versions so seldom
ASK_LESS = "Ask for less: a shorter time, a rarer word."
TRIES = 3  # of a read whose files were vacuumed under it
KEPT_CELLS = 50_000  # of the answers that are kept
LARGEST_SHARE = 8  # an answer of more than one part in so many is not kept
INTERRUPT_S = 0.2  # between two interrupts: one that comes between two queries stops neither
SPILL = 4  # times the memory of DuckDB that it may spill


class Answers:
    """What was computed on one snapshot and may be asked again, of `most_cells` in all; the least recently used goes first."""

    def __init__(self, most_cells: int = KEPT_CELLS) -> None:
        self._most, self._cells = most_cells, 0
        self._kept: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], _T], cells: Callable[[_T], int] = lambda made: 1) -> _T:
        """The answer under `key`, made if it is not there; `cells` says how large it is. Two at once may both make it."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                found: _T = self._kept[key][0]
                return found
        made = make()
        size = cells(made)
        if size * LARGEST_SHARE > self._most:
            return made
        with self._lock:
            self._cells += size - self._kept.pop(key, (None, 0))[1]
            self._kept[key] = made, size
            while self._cells > self._most:
                self._cells -= self._kept.popitem(last=False)[1][1]
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

    A read is stopped after `seconds`. DuckDB takes `memory_mb` in all, and spills some times as much into `spill`.
    """

    def __init__(self, lake: Lake, *, seconds: float, memory_mb: int, spill: Path) -> None:
        self.lake = lake
        self._seconds, self._memory_mb, self._spill = seconds, memory_mb, spill
        self._lock = threading.Lock()
        self._opening = threading.Lock()
        self._newest: _Open | None = None

    def read(self, work: Callable[[View], _T]) -> _T:
        """What `work` makes of one snapshot. It is called again on a newer one when the files of its own were vacuumed.

        Raises:
            ReadTooLong: it was stopped, or wanted more memory than it may have. Misconfigured: there is no lake.
            LakeUnreadable: a file of it is missing or damaged.
        """
        for attempt in range(1, TRIES + 1):
            held = self._hold(anew=attempt > 1)
            try:
                return self._timed(held, work)
            except duckdb.InterruptException as error:
                raise ReadTooLong(
                    f"The answer took longer than {self._seconds:g} seconds and was stopped.", next=ASK_LESS
                ) from error
            except duckdb.OutOfMemoryException as error:
                raise ReadTooLong("The answer wants more memory than there is for one.", next=ASK_LESS) from error
            except duckdb.Error as error:
                unreadable = damage(error)
                if unreadable is None:
                    raise
                if attempt == TRIES:
                    raise unreadable from error
            finally:
                self._release(held)
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Let go of the newest snapshot."""
        with self._lock:
            if self._newest is not None:
                self._retire(self._newest)
                self._newest = None

    def _timed(self, held: _Open, work: Callable[[View], _T]) -> _T:
        cursor = held.connection.cursor()
        cursor.execute("SET TimeZone = 'UTC'")  # a cursor starts with settings of its own
        cursor.execute("SET parquet_metadata_cache = true")

        done = threading.Event()

        def stop() -> None:
            wait_s = self._seconds
            while not done.wait(wait_s):
                with contextlib.suppress(duckdb.Error):  # it was done at that very moment
                    cursor.interrupt()
                wait_s = INTERRUPT_S

        alarm = threading.Thread(target=stop, daemon=True)
        alarm.start()
        try:
            return work(View(self.lake, cursor, held.snapshot, held.answers))
        finally:
            done.set()
            alarm.join()
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
            with self._lock:
                newest = self._newest
                if newest is not None and newest.snapshot == snapshot and not anew:  # only the clock has moved on
                    newest.signature = signature
                    newest.readers += 1
                    return newest
            connection = connect(self.lake, snapshot, lean=True)
            connection.execute(f"SET memory_limit = '{self._memory_mb}MB'")
            connection.execute(f"SET max_temp_directory_size = '{SPILL * self._memory_mb}MB'")
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
