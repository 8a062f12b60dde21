"""Which engine compares vectors: the lake, exactly, or Elasticsearch, nearly, where the lake would take long."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import duckdb

from tasks.errors import BadQuery, SearchUnavailable
from tasks.lake.store import Lake
from tasks.search import near_scan
from tasks.search.answer import elastic
from tasks.search.engine import EngineName
from tasks.search.near_kinds import Kind
from tasks.search.near_scan import NearQuery
from tasks.settings import Settings

FEW = 1_000_000  # frames or pieces of sound, which the lake compares in some seconds


def nearest(
    settings: Settings,
    lake: Lake,
    connection: duckdb.DuckDBPyConnection,
    kind: Kind,
    query: NearQuery,
    recipes: Sequence[str],
    likelihood: Callable[[float], float | None] = lambda similarity: None,
    *,
    engine: EngineName = "auto",
) -> dict[str, Any]:
    """What is near a vector, in the form of `search --json`. Where Elasticsearch is set and does not answer, the lake does, and the
    answer says why.

    Raises:
        BadQuery: `engine` is "elasticsearch", which cannot look within times, nor beyond its reach. SearchUnavailable: it does not
            answer.
    """
    if query.within is not None and engine == "elasticsearch":
        raise BadQuery(
            "What is to be seen or heard while something is said is looked for in the lake.", next="Leave out --engine."
        )
    reason = None
    if _by_elasticsearch(settings, connection, kind, query, engine):
        from tasks.search.elastic import near

        try:
            with elastic(settings, lake) as searcher:
                return near.search(searcher, kind, query, recipes, likelihood)
        except near.OutOfReach:
            if engine == "elasticsearch":
                raise
        except SearchUnavailable as error:
            if engine == "elasticsearch":
                raise
            reason = str(error)
    return {**near_scan.search(connection, kind, query, recipes, likelihood), "fallback_reason": reason}


def _by_elasticsearch(
    settings: Settings, connection: duckdb.DuckDBPyConnection, kind: Kind, query: NearQuery, engine: EngineName
) -> bool:
    if engine != "auto":
        return engine == "elasticsearch"
    if not settings.elasticsearch_url or query.within is not None or query.video is not None:
        return False
    [(rows,)] = connection.execute(f"SELECT coalesce(sum(rows), 0) FROM current_{kind.table}").fetchall()
    return int(rows) > FEW
