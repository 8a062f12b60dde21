"""How far search is behind the lake."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import duckdb

from tasks.errors import Misconfigured
from tasks.lake.store import Lake
from tasks.lake.views import Snapshot
from tasks.settings import Settings

if TYPE_CHECKING:
    from tasks.search.elastic.changes import State

PATIENCE_S = 3.0  # a status must be had soon, also where Elasticsearch is away


@dataclass(frozen=True)
class SearchIndex:
    """What Elasticsearch says of itself: whether it answers, the index that is written to, and what that has seen."""

    reachable: bool = False
    index: str | None = None
    state: State | None = None


def search_index(settings: Settings) -> SearchIndex:
    """Ask Elasticsearch, for at most `PATIENCE_S`; nothing of the lake is read."""
    if not settings.elasticsearch_url:
        return SearchIndex()
    import httpx

    from tasks.search.elastic.changes import State
    from tasks.search.elastic.connection import Connection
    from tasks.search.elastic.mapping import STATE_ID, Names

    alias = Names(settings.elasticsearch_prefix).write
    patient = settings.model_copy(update={"elasticsearch_timeout_s": min(PATIENCE_S, settings.elasticsearch_timeout_s)})
    try:
        with Connection.of(patient).light() as client:
            found = client.get(f"/_alias/{alias}")
            if found.status_code == 404:
                return SearchIndex(reachable=True)
            if found.status_code >= 300:
                return SearchIndex()
            index = next(iter(found.json()))
            seen = client.get(f"/{index}/_doc/{STATE_ID}").json().get("_source")
    except (httpx.HTTPError, ValueError, StopIteration):
        return SearchIndex()
    state = (
        State(seen["lake_version"], seen["lake_files"], seen["synced_at"], tuple(seen["languages"])) if seen else None
    )
    return SearchIndex(True, index, state)


def search_state(
    found: SearchIndex, lake: Lake, snapshot: Snapshot, connection: duckdb.DuckDBPyConnection
) -> dict[str, Any]:
    """What `status --json` says of Elasticsearch: `reachable`, `index`, and `lag_videos`, None where that is not known."""
    lag = _lag(found, lake, snapshot, connection) if found.index and found.state else None
    return {"reachable": found.reachable, "index": found.index, "lag_videos": lag}


def _lag(found: SearchIndex, lake: Lake, snapshot: Snapshot, connection: duckdb.DuckDBPyConnection) -> int | None:
    """Videos that the next sync has to look at and that are newer than the last one, or failed in it."""
    from tasks.search.elastic.changes import changed_since, unhealed

    assert found.index is not None
    try:
        changed = changed_since(lake, snapshot, connection, found.state)
    except Misconfigured:  # the index has seen another lake
        return None
    if changed is None:
        return None
    failed = unhealed(connection, found.index)
    # Compaction writes the rows of many videos anew that the index has; a row's time is a little before its commit.
    row = connection.execute(
        "WITH synced AS (SELECT coalesce(max(started_at) - INTERVAL 1 MINUTE, TIMESTAMPTZ '1970-01-01') AS since FROM syncs "
        "WHERE index_name = $index AND outcome = 'done' AND kind <> 'repair'), "
        "changed AS (SELECT unnest($changed::VARCHAR[]) AS video_id), "
        "newer AS (SELECT video_id FROM video_facts, synced WHERE indexed_at > since "
        "UNION SELECT video_id FROM stage_runs, synced WHERE made_at > since) "
        "SELECT count(*) FROM video_facts WHERE video_id IN (SELECT unnest($failed::VARCHAR[])) "
        "OR video_id IN (SELECT video_id FROM changed SEMI JOIN newer USING (video_id))",
        {"failed": failed, "changed": changed, "index": found.index},
    ).fetchone()
    return int(row[0]) if row else 0
