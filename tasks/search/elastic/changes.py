"""What changed in the lake since an index has seen it. Needs no Elasticsearch: the state of the index says what it saw."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable
from dataclasses import dataclass

import duckdb
from deltalake.exceptions import DeltaError

from tasks.errors import Misconfigured
from tasks.lake.store import Lake
from tasks.lake.views import Snapshot
from tasks.search.elastic.mapping import REBUILD

log = logging.getLogger("nightscribe")


@dataclass(frozen=True)
class State:
    """What an index has seen of the lake: the version of `videos`, when, and the languages it is spoken in."""

    lake_version: int
    lake_files: str  # a fingerprint of the table `videos` at that version: a lake put back from a copy has another
    synced_at: str
    languages: tuple[str, ...]


def changed_since(
    lake: Lake, snapshot: Snapshot, connection: duckdb.DuckDBPyConnection, state: State | None
) -> list[str] | None:
    """Videos with rows in files that the lake did not have at the state's version; none when nobody knows any more.

    Compaction writes files anew: their videos are compared again, which finds them up to date.

    Raises:
        Misconfigured: the lake had other files at that version, so that the index may have what the lake has not.
    """
    if state is None:
        return None
    try:
        before = lake.files("videos", version=state.lake_version)
    except DeltaError as error:
        log.debug("The log does not reach back to version %d: %s", state.lake_version, error)
        return None
    if fingerprint(before) != state.lake_files:
        raise Misconfigured(
            "The lake is not the one that the index has seen: an older copy of it was put back. The index is unchanged.",
            next=REBUILD,
        )
    new = sorted(set(snapshot.files["videos"]) - set(before))
    if not new:
        return []
    rows = connection.execute("SELECT DISTINCT video_id FROM read_parquet($files)", {"files": new}).fetchall()
    return [row[0] for row in rows]


def fingerprint(files: Iterable[str]) -> str:
    """What tells the states of a table apart, of the names of its files."""
    names = sorted(file.rsplit("/", 1)[-1] for file in files)
    return hashlib.sha256("\n".join(names).encode()).hexdigest()[:32]


def unhealed(connection: duckdb.DuckDBPyConnection, index: str) -> list[str]:
    """Videos in the ledger whose failure no sync of this index that was done has seen since."""
    rows = connection.execute(
        "SELECT DISTINCT video_id FROM sync_failures WHERE index_name = $index AND failed_at > coalesce("
        "(SELECT max(started_at) FROM syncs WHERE index_name = $index AND outcome = 'done' AND kind <> 'repair'), "
        "TIMESTAMPTZ '1970-01-01')",
        {"index": index},
    ).fetchall()
    return [row[0] for row in rows]
