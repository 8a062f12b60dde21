"""A bucket's listing as tables in DuckDB, and counts of what in it is no candidate. It streams, however long it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from tasks.errors import StorageBusy
from tasks.records import Object
from tasks.settings import Settings
from tasks.sources.candidates import Candidates
from tasks.sources.left_out import LeftOut, Unseen
from tasks.sources.values import EARLIEST, LATEST, is_text, readable, size_of, time_of

CHUNK_ROWS = 20_000
SIDECAR_SUFFIXES = (".info.json", ".json")
_Row = tuple[str, str, int, str, datetime | None, bool]
_LISTED = pa.schema(
    [
        ("key", pa.string()),
        ("stem", pa.string()),
        ("size_bytes", pa.int64()),
        ("fingerprint", pa.string()),
        ("modified_at", pa.timestamp("us", tz="UTC")),
        ("sidecar", pa.bool_()),
    ]
)
_FIRST, _LAST = ((time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) for time in (EARLIEST, LATEST))


class Listing:
    """Fills the tables `listed`, candidates and sidecars, and `unseen`, names behind which nothing was seen.

    Without settings, all that is no sidecar is a candidate.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, settings: Settings | None) -> None:
        self.connection = connection
        self.candidates = Candidates(settings) if settings else None
        self.left_out = LeftOut()
        self.count = 0  # candidates
        self._names: list[str] = []
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE listed (key TEXT, stem TEXT, size_bytes BIGINT, fingerprint TEXT, "
            "modified_at TIMESTAMPTZ, sidecar BOOL)"
        )
        connection.execute("CREATE OR REPLACE TEMP TABLE unseen (key TEXT)")

    def load(self, objects: Iterable[Object], on_listed: Callable[[int], None] = lambda n: None) -> None:
        """Take in a listing, as far as it goes.

        Raises:
            StorageBusy: it broke off.
        """
        try:
            for chunk in _chunks(self._rows(objects)):
                table = self._table(chunk)
                self.connection.register("chunk", table)
                self.connection.execute("INSERT INTO listed FROM chunk")
                self.connection.unregister("chunk")
                self.count += table.num_rows - (pc.sum(table["sidecar"]).as_py() or 0)
                on_listed(self.count)
        finally:
            self._keep_names()

    def see(self, item: Unseen) -> None:
        """Take note of a name that stands for no object."""
        self.left_out.listed += 1
        self._names.append(item.key)
        if len(self._names) >= CHUNK_ROWS:
            self._keep_names()
        if self.candidates is None:
            self.left_out.see(item)
            return
        self.candidates.match(item.key)
        self.candidates.match(item.key + "/")
        other = (
            item.why == "odd" and not item.key.lower().endswith(SIDECAR_SUFFIXES) and self.candidates.left_out(item.key)
        )
        if other:  # it would not have been taken anyway
            self.left_out.count(*other)
        elif not self.candidates.unwanted_link(item.key):
            self.left_out.see(item)

    def _keep_names(self) -> None:
        if self._names:
            self.connection.register("names", pa.table({"key": pa.array(self._names, pa.string())}))
            self.connection.execute("INSERT INTO unseen FROM names")
            self.connection.unregister("names")
            self._names = []

    def _rows(self, objects: Iterable[Object]) -> Iterator[_Row]:
        candidates, left_out = self.candidates, self.left_out
        for item in objects:
            key = item.key
            left_out.listed += 1
            if candidates and candidates.unmatched:
                candidates.match(key)
            if key[-5:].lower() == ".json":
                stem = key[: -10 if key[-10:].lower() == ".info.json" else -5]
                left_out.companions += 1
                yield key, stem, item.size_bytes, item.fingerprint, item.modified_at, True
                continue
            if candidates and (why := candidates.left_out(key)):
                left_out.count(*why)
                continue
            stem, dot, extension = key.rpartition(".")
            if not dot or "/" in extension:
                stem = key
            yield key, stem, item.size_bytes, item.fingerprint, item.modified_at, False

    def _table(self, chunk: list[_Row]) -> pa.Table:
        """Rows as DuckDB takes them; where they do not fit, each is looked at by itself."""
        try:
            table = _columns(chunk)
            times = pc.min_max(table["modified_at"].cast(pa.int64())).as_py()
            fits = not any(table[name].null_count for name in ("key", "size_bytes", "fingerprint"))
            if fits and pc.min(table["size_bytes"]).as_py() >= 0 and _within(times["min"], times["max"]):
                return table
        except (ValueError, TypeError, OverflowError):  # pyarrow's own among them
            pass
        return _columns([row for row in map(self._usable, chunk) if row])

    def _usable(self, row: _Row) -> _Row | None:
        key, stem, size, fingerprint, modified_at, sidecar = row
        if is_text(key) and is_text(fingerprint):
            return key, stem, size_of(size) or 0, fingerprint, time_of(modified_at), sidecar
        self.see(Unseen(readable(key), "odd", "its name or its tag is no Unicode"))
        return None


def _columns(rows: list[_Row]) -> pa.Table:
    columns = zip(*rows, strict=True) if rows else [()] * len(_LISTED)
    return pa.Table.from_arrays(
        [pa.array(column, field.type) for column, field in zip(columns, _LISTED, strict=True)], schema=_LISTED
    )


def _within(first: int | None, last: int | None) -> bool:
    return first is None or last is None or (first >= _FIRST and last <= _LAST)


def _chunks(rows: Iterator[_Row]) -> Iterator[list[_Row]]:
    """Rows by the thousand; when the listing breaks off, what was seen before still comes, and then the error."""
    chunk: list[_Row] = []
    try:
        for row in rows:
            chunk.append(row)
            if len(chunk) >= CHUNK_ROWS:
                yield chunk
                chunk = []
    except StorageBusy:
        if chunk:
            yield chunk
        raise
    if chunk:
        yield chunk
