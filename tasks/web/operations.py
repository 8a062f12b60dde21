"""How the nightly runs are doing: outcomes, speed by stage, failures, what waits, cost, the lake's size."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tasks.lake.schema import TABLES
from tasks.runs.costs import estimate, heard_s, price_of
from tasks.runs.status import status_of
from tasks.search.lag import SearchIndex
from tasks.search.shown import iso
from tasks.settings import Settings
from tasks.stages.registry import STAGES
from tasks.web.snapshots import View

RUNS = 30
FAILURES = 100
SYNCS = 5


def operations(view: View, settings: Settings, index: SearchIndex) -> dict[str, Any]:
    """Everything of the operations page: `status` (see `status_of`), `runs`, `speed`, `failures`, `waiting`, `tables`."""
    status = status_of(view.lake, settings, view.snapshot, view.connection, index)
    return {
        "status": status,
        "runs": _runs(view, settings),
        "speed": _speed(view),
        "failures": _failures(view),
        "waiting": _waiting(view, settings, status["due"]),
        "tables": _tables(view),
        "syncs": _syncs(view),
    }


def _runs(view: View, settings: Settings) -> list[dict[str, Any]]:
    """The last runs, newest first, with media hours an hour and what they cost: at the prices of their day, else today's."""
    out = []
    for run_id, bucket, started, ended, outcome, report in view.rows(
        "SELECT run_id, bucket, started_at, ended_at, outcome, report_json FROM runs ORDER BY started_at DESC LIMIT $n",
        {"n": RUNS},
    ):
        counts = json.loads(report)
        total_s = float(counts["seconds"].get("total", 0.0))
        media_s = heard_s(counts)
        cost = counts.get("cost")
        if cost is None:
            price = price_of(settings, counts.get("device"), counts.get("hardware"))
            cost = price * total_s / 3600 if price else None
        out.append(
            {
                "run_id": run_id,
                "bucket": bucket,
                "started_at": iso(started),
                "ended_at": iso(ended),
                "outcome": outcome,
                "indexed": counts["indexed"],
                "no_speech": counts["no_speech"] + counts["no_audio"],
                "failed": counts["failed"],
                "media_ms": counts["media_ms"],
                "seconds": total_s,
                "speed": round(media_s / total_s, 1) if total_s and media_s else None,
                "stages": {name: round(seconds, 1) for name, seconds in counts["seconds"].items() if name != "total"},
                "cost": None if cost is None else round(cost, 4),
                "cost_per_media_hour": None if cost is None or not media_s else round(cost / (media_s / 3600), 4),
                "failures": counts["failures"],
            }
        )
    return out


def _speed(view: View) -> list[dict[str, Any]]:
    """Hours of media for an hour of each stage, over all that was ever made of what was heard; before the stages, what each
    visit takes beside them."""
    [visits] = view.dicts(
        "SELECT sum(fetch_s) AS fetch, sum(audio_s) AS audio, sum(duration_ms) / 1000 AS media FROM video_rows "
        "WHERE status IN ('indexed', 'no_speech') AND audio_s > 0 AND duration_ms > 0"
    )
    spent = {name: (visits[name], visits["media"]) for name in ("fetch", "audio")}
    runs = view.rows(
        "SELECT r.stage, sum(r.seconds), sum(v.duration_ms) / 1000 FROM every_run r JOIN video_facts v USING (video_id) "
        "WHERE r.status IN ('done', 'empty') AND r.seconds > 0 AND v.duration_ms > 0 GROUP BY ALL"
    )
    known = {stage: (seconds, media) for stage, seconds, media in runs}
    spent |= {stage: known.get(stage, (None, None)) for stage in STAGES.names}
    return [
        {
            "stage": name,
            "seconds": round(seconds or 0, 1),
            "speed": round(media / seconds, 1) if seconds and media else None,
        }
        for name, (seconds, media) in spent.items()
    ]


def _failures(view: View) -> dict[str, Any]:
    """Videos that failed: how many by reason, and the latest of them."""
    reasons = view.dicts(
        "SELECT reason, count(*) AS videos, count(next_try_at) AS tried_again FROM videos WHERE status = 'failed' "
        "GROUP BY reason ORDER BY videos DESC, reason"
    )
    latest = view.dicts(
        "SELECT video_id, key, title, reason, error, attempts, next_try_at, indexed_at FROM videos WHERE status = 'failed' "
        "ORDER BY indexed_at DESC, key LIMIT $n",
        {"n": FAILURES},
    )
    for row in latest:
        row["next_try_at"], row["indexed_at"] = iso(row["next_try_at"]), iso(row["indexed_at"])
    return {"reasons": reasons, "latest": latest}


def _waiting(view: View, settings: Settings, due: dict[str, int]) -> dict[str, Any]:
    """What runs will take up of what the lake knows: videos that are due to be `retried` and those that are `stale`.

    Each has `videos`, their `media_ms`, and the `seconds` and `cost` of it (see `tasks.runs.costs`), null while no run has
    measured them. New objects of the bucket are not counted: only a scan knows them.
    """
    [(retried_ms, heard_ms)] = view.rows(
        "SELECT coalesce(sum(duration_ms) FILTER (status = 'failed' AND next_try_at <= $now), 0), "
        "coalesce(avg(duration_ms) FILTER (status IN ('indexed', 'no_speech', 'no_audio')), 0) FROM videos",
        {"now": datetime.now(UTC)},
    )

    def waiting(videos: int, media_ms: float) -> dict[str, Any]:
        found = estimate(view.connection, settings, media_hours=media_ms / 3_600_000)
        seconds = round(found.machine_hours * 3600) if found.measured else None
        return {
            "videos": videos,
            "media_ms": int(media_ms),
            "seconds": seconds,
            "cost": found.cost if found.measured else None,
        }

    return {"retried": waiting(due["retry"], retried_ms), "stale": waiting(due["stale"], due["stale"] * heard_ms)}


def _syncs(view: View) -> list[dict[str, Any]]:
    found = view.dicts(
        "SELECT kind, started_at, ended_at, outcome, videos, passages, failed FROM syncs ORDER BY started_at DESC LIMIT $n",
        {"n": SYNCS},
    )
    return [{**row, "started_at": iso(row["started_at"]), "ended_at": iso(row["ended_at"])} for row in found]


def _tables(view: View) -> list[dict[str, Any]]:
    """Live files of each table and their bytes; of a lake elsewhere the bytes are not known."""
    out = []
    for name in TABLES:
        files = view.snapshot.files.get(name, ())
        size = sum(_size(file) for file in files) if view.lake.local else None
        out.append({"name": name, "files": len(files), "bytes": size})
    return out


def _size(file: str) -> int:
    try:
        return Path(file).stat().st_size
    except OSError:
        return 0
