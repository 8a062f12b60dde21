"""The state of an archive in one document."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from tasks.errors import Misconfigured
from tasks.lake.due import count_refreshed, coverage
from tasks.lake.store import Lake
from tasks.lake.views import Snapshot, connect
from tasks.models.catalog import find_set
from tasks.runs.costs import ledger
from tasks.search.lag import SearchIndex, search_index, search_state
from tasks.settings import Settings
from tasks.stages.recipes import recipes

if TYPE_CHECKING:
    import duckdb

RUNS_SHOWN = 5


def status_of(
    lake: Lake,
    settings: Settings,
    snapshot: Snapshot | None = None,
    connection: duckdb.DuckDBPyConnection | None = None,
    index: SearchIndex | None = None,
) -> dict[str, Any]:
    """What `status --json` prints, of a snapshot and a connection to it, else of the lake at this moment.

    Elasticsearch is asked, unless its answer is given as `index`.
    """
    snapshot = snapshot or Snapshot.of(lake)
    connection = connection or connect(lake, snapshot, lean=True, history=False)
    stages: Mapping[str, Mapping[str, int]] = {}
    stale = 0
    with contextlib.suppress(Misconfigured):  # a status must be had also where the models are not
        stages = coverage(connection, recipes(find_set(settings), settings), now=datetime.now(UTC))
        stale = count_refreshed(connection)
    totals = connection.execute(
        "SELECT coalesce(sum(duration_ms), 0), coalesce(sum(n_words), 0) FROM videos WHERE status NOT IN ('gone', 'forgotten')"
    ).fetchone()
    due = connection.execute(
        "SELECT count(*) FROM videos WHERE status = 'failed' AND next_try_at <= $now", {"now": datetime.now(UTC)}
    ).fetchone()
    runs = connection.execute(
        "SELECT run_id, started_at, ended_at, outcome, report_json FROM runs ORDER BY started_at DESC LIMIT $n",
        {"n": RUNS_SHOWN},
    ).fetchall()
    costs = ledger(connection, settings)
    assert totals is not None
    assert due is not None
    return {
        "lake": lake.uri,
        "lake_version": snapshot.version,
        "videos": dict(connection.execute("SELECT status, count(*) FROM videos GROUP BY ALL ORDER BY ALL").fetchall()),
        "failed_by_reason": dict(
            connection.execute(
                "SELECT reason, count(*) FROM videos WHERE status = 'failed' GROUP BY ALL ORDER BY ALL"
            ).fetchall()
        ),
        "stages": stages,
        "due": {"retry": due[0], "stale": stale},
        "media_ms": int(totals[0]),
        "words": int(totals[1]),
        "search": search_state(index or search_index(settings), lake, snapshot, connection),
        "cost_per_media_hour": costs["cost_per_media_hour"],
        "costs": costs,
        "last_runs": [_run(*row) for row in runs],
    }


def _run(run_id: str, started: datetime, ended: datetime, outcome: str, report: str) -> dict[str, Any]:
    counts = json.loads(report)
    return {
        "run_id": run_id,
        "started_at": _z(started),
        "ended_at": _z(ended),
        "outcome": outcome,
        "seconds": counts["seconds"].get("total", 0.0),
        "cost": counts.get("cost"),
        **{
            name: counts[name] for name in ("bucket", "indexed", "no_speech", "no_audio", "failed", "media_ms", "words")
        },
    }


def _z(when: datetime) -> str:
    return when.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
