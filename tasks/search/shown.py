"""What both engines show of a video, decided once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import duckdb

from tasks.lake.views import quoted

# The first topic, and others that are likely: a condition on the table `topics`.
SHOWN_TOPICS = "scope = 'video' AND (rank = 1 OR score >= 0.25)"


def iso(when: datetime | None) -> str | None:
    """A time in UTC as JSON has it."""
    return when.isoformat().replace("+00:00", "Z") if when else None


def topics_of(connection: duckdb.DuckDBPyConnection, ids: Sequence[str]) -> dict[str, list[str]]:
    """The labels that are shown of each video, of those that have any."""
    if not ids:
        return {}
    listed = ", ".join(map(quoted, ids))  # constants let DuckDB skip row groups
    rows = connection.execute(
        f"SELECT video_id, list(label ORDER BY rank) FROM topics WHERE {SHOWN_TOPICS} AND video_id IN ({listed}) "
        "GROUP BY video_id"
    ).fetchall()
    return dict(rows)
