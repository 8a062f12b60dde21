"""How far search is behind the lake."""

from __future__ import annotations

from typing import Any

import duckdb

from tasks.settings import Settings

PATIENCE_S = 3.0  # a status must be had soon, also where Elasticsearch is away


def search_state(settings: Settings, lake_version: int, connection: duckdb.DuckDBPyConnection) -> dict[str, Any]:
    """What `status --json` says of Elasticsearch: `reachable`, `index`, and `lag_videos`, None where that is not known.

    The lag counts the videos that were indexed after the last sync; one that was committed while it ran counts as one.
    """
    unknown: dict[str, Any] = {"reachable": False, "index": None, "lag_videos": None}
    if not settings.elasticsearch_url:
        return unknown
    import httpx

    from tasks.search.elastic.connection import Connection
    from tasks.search.elastic.mapping import STATE_ID, Names

    alias = Names(settings.elasticsearch_prefix).write
    patient = settings.model_copy(update={"elasticsearch_timeout_s": min(PATIENCE_S, settings.elasticsearch_timeout_s)})
    try:
        with Connection.of(patient).light() as client:
            found = client.get(f"/_alias/{alias}")
            if found.status_code == 404:
                return {**unknown, "reachable": True}
            if found.status_code >= 300:
                return unknown
            index = next(iter(found.json()))
            seen = client.get(f"/{index}/_doc/{STATE_ID}").json().get("_source")
    except (httpx.HTTPError, ValueError, StopIteration):
        return unknown
    known = {"reachable": True, "index": index}
    if not seen:
        return {**known, "lag_videos": None}
    if seen["lake_version"] >= lake_version:
        return {**known, "lag_videos": 0}
    row = connection.execute(
        "SELECT count(*) FROM videos WHERE indexed_at > $synced::TIMESTAMPTZ", {"synced": seen["synced_at"]}
    ).fetchone()
    return {**known, "lag_videos": max(1, row[0] if row else 0)}
