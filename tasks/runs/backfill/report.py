"""What came of a backfill, counted in the lake."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from tasks.lake.views import connect
from tasks.runs.backfill.state import Backfill

SHOWN = 200
COUNTED = ("indexed", "no_speech", "no_audio", "failed", "gone", "forgotten", "left")

_ROWS = """
SELECT CASE WHEN n.version > p.generation THEN status ELSE 'left' END AS status, v.reason, v.error, p.key,
       v.duration_ms, v.n_words
FROM planned p LEFT JOIN video_facts v ON v.key = p.key AND v.bucket = $bucket LEFT JOIN video_versions n USING (video_id)
"""
_NOT_WRITTEN = "Nothing was written of it. The log of its slice says why."


def report_of(backfill: Backfill, *, seconds: float, lost: dict[int, str]) -> dict[str, Any]:
    """The document that `backfill --json` prints; counts are of the planned videos."""
    connection = connect(backfill.lake, lean=True, history=False)
    connection.register("planned", backfill.planned())
    connection.execute(f"CREATE TEMP TABLE found AS {_ROWS}", {"bucket": backfill.header["bucket_id"]})
    counts = dict(connection.execute("SELECT status, count(*) FROM found GROUP BY ALL").fetchall())
    totals = connection.execute(
        "SELECT coalesce(sum(duration_ms), 0), coalesce(sum(n_words), 0) FROM found WHERE status <> 'left'"
    ).fetchone()
    failures = connection.execute(
        "SELECT key, CASE status WHEN 'left' THEN 'left' ELSE reason END, CASE status WHEN 'left' THEN $left ELSE error END "
        "FROM found WHERE status IN ('failed', 'left') ORDER BY key LIMIT $n",
        {"left": _NOT_WRITTEN, "n": SHOWN},
    ).fetchall()
    assert totals is not None
    slices = backfill.reports()
    costs = [part["cost"] for part in slices if part.get("cost") is not None]
    return {
        "schema": 1,
        "backfill": backfill.id,
        "lake": backfill.lake.uri,
        "bucket": backfill.header["bucket"],
        "slices": {"planned": len(backfill.slices), "done": len(slices), "given_up": len(lost)},
        "given_up": [{"slice": n, "error": error} for n, error in sorted(lost.items())],
        "videos": sum(part["videos"] for part in backfill.slices),
        **{name: counts.get(name, 0) for name in COUNTED},
        "media_ms": int(totals[0]),
        "words": int(totals[1]),
        "machine_hours": round(sum(part["seconds"].get("total", 0.0) for part in slices) / 3600, 4),
        "cost": round(sum(costs), 6) if costs else None,
        "seconds": {"total": round(seconds, 1)},
        "estimate": backfill.header["estimate"],
        "left_out": backfill.header.get("left_out"),
        "failures": [{"key": key, "reason": reason, "error": error} for key, reason, error in failures],
    }


def keep(backfill: Backfill, report: dict[str, Any]) -> None:
    """A row of `runs`; called again, the same one."""
    row = {
        "run_id": backfill.id,
        "command": "backfill",
        "bucket": backfill.header["bucket"],
        "started_at": datetime.fromtimestamp(backfill.header["created_ms"] / 1000, UTC),
        "ended_at": datetime.now(UTC),
        "outcome": "failed" if report["slices"]["given_up"] else "done",
        "report_json": json.dumps(report, ensure_ascii=False),
    }
    backfill.lake.append("runs", [row], batch_id=f"backfill-{backfill.id}")


def sentence(report: dict[str, Any], currency: str) -> str:
    """The one line that ends a backfill."""
    labels = {"indexed": "indexed", "no_speech": "without speech", "no_audio": "without audio", "failed": "failed",
              "gone": "gone from the bucket", "forgotten": "forgotten", "left": "left undone"}  # fmt: skip
    parts = [f"{report[name]} {label}" for name, label in labels.items() if report[name]]
    money = "" if report["cost"] is None else f", {report['cost']:.2f} {currency}"
    planned = report["estimate"].get("machine_hours")
    beside = f" (planned: {planned:.2f})" if planned is not None else ""
    return (
        f"{report['slices']['done']} of {report['slices']['planned']} slices: {', '.join(parts)}; "
        f"{report['media_ms'] / 3_600_000:.2f} hours of media, {report['words']} words, "
        f"{report['machine_hours']:.2f} machine hours{beside}{money}."
    )
