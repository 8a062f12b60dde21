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
    """What an index has seen of the lake: the version of `videos`, when, and the languages it is spoken in.

    `lake_files` is what `seen` says: the version of the stage runs, and fingerprints of the files that both had at these
    versions. A lake that was put back from a copy has others.
    """

    lake_version: int
    lake_files: str
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
    videos, _, rest = state.lake_files.partition(":")
    version, _, runs = rest.partition(":")
    if not version:
        return None  # an index from before there were stage runs
    new: set[str] = set()
    for name, then, print_ in (("videos", state.lake_version, videos), ("stage_runs", int(version), runs)):
        try:
            before = lake.files(name, version=then)
        except DeltaError as error:
            log.debug("The log of %s does not reach back to version %d: %s", name, then, error)
            return None
        if fingerprint(before) != print_:
            raise Misconfigured(
                "The lake is not the one that the index has seen: an older copy of it was put back. The index is unchanged.",
                next=REBUILD,
            )
        new |= set(snapshot.files[name]) - set(before)
    if not new:
        return []
    rows = connection.execute("SELECT DISTINCT video_id FROM read_parquet($files)", {"files": sorted(new)}).fetchall()
    return [row[0] for row in rows]


def seen(snapshot: Snapshot) -> str:
    """What tells the states of a lake apart, beside the version of `videos`."""
    return (
        f"{fingerprint(snapshot.files['videos'])}:{snapshot.runs_version}:{fingerprint(snapshot.files['stage_runs'])}"
    )


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
