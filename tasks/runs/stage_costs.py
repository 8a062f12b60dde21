"""What stages have cost so far, and what it will cost to make them: seconds for a unit of what each reads, from the stage runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tasks.records import Recipes, VideoTask
from tasks.runs.costs import price_of
from tasks.settings import Settings
from tasks.stages.registry import STAGES

if TYPE_CHECKING:
    import duckdb

WORDS_PER_S = 2.5  # of media, in a lake that has no words yet


@dataclass(frozen=True)
class StageEstimate:
    """Videos for which a stage is to be made; `seconds` and `cost` are None while no run has measured them."""

    stage: str
    videos: int
    seconds: float | None
    cost: float | None


def estimate_stages(
    connection: duckdb.DuckDBPyConnection | None,
    settings: Settings,
    recipes: Recipes,
    work: Sequence[VideoTask],
    *,
    media_hours: float,
) -> list[StageEstimate]:
    """By stage, what `work` will take; `media_hours` is the length of what is new in it. Each stage goes by the machine that
    made most of it, with today's recipe if it ever ran."""
    new = [item for item in work if item.whole and item.source_id is None]
    facts = lengths_of(connection, work)
    spoken = sum(words for _, words in facts.values()) / (sum(media for media, _ in facts.values()) or 1)
    each = 3600 * media_hours / (len(new) or 1)
    lengths = {item.video_id: (each, each * (spoken or WORDS_PER_S)) for item in new} | facts
    found = []
    for stage in STAGES:
        due = [item for item in work if stage.name in item.stages and item.source_id is None]
        if not due:
            continue
        column = 0 if stage.unit == "media_s" else 1
        units = sum(lengths.get(item.video_id, (0.0, 0.0))[column] for item in due)
        rate = _rate(connection, stage.name, recipes.hashes.get(stage.name)) if connection else None
        seconds = None if rate is None else rate[0] * units
        price = price_of(settings, *rate[1:]) if rate else 0.0
        cost = price * seconds / 3600 if price and seconds is not None else None
        found.append(StageEstimate(stage.name, len(due), seconds, cost))
    return found


def lengths_of(
    connection: duckdb.DuckDBPyConnection | None, work: Sequence[VideoTask]
) -> dict[str, tuple[float, float]]:
    """Seconds and words of those videos that are indexed as they are now."""
    ids = [item.video_id for item in work if not item.whole]
    if connection is None or not ids:
        return {}
    rows = connection.execute(
        "SELECT video_id, coalesce(duration_ms, 0) / 1000, coalesce(n_words, 0) FROM video_facts "
        "WHERE video_id IN (SELECT unnest($ids))",
        {"ids": ids},
    ).fetchall()
    return {video_id: (float(media), float(words)) for video_id, media, words in rows}


def _rate(
    connection: duckdb.DuckDBPyConnection, stage: str, recipe: str | None
) -> tuple[float, str | None, str | None] | None:
    """Seconds a unit, device and hardware."""
    row = connection.execute(
        "SELECT sum(seconds) / sum(units), device, hardware FROM every_run WHERE stage = $stage AND status IN ('done', 'empty') "
        "AND occasion <> 'copy' AND seconds IS NOT NULL AND units > 0 GROUP BY device, hardware, recipe "
        "ORDER BY recipe IS NOT DISTINCT FROM $recipe DESC, sum(units) DESC LIMIT 1",
        {"stage": stage, "recipe": recipe},
    ).fetchone()
    return None if row is None else (float(row[0]), row[1], row[2])
