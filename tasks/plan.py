"""What a run would do, and how long it would take: hours of media from a sample of the files, speed from past runs."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from tasks.costs import estimate, ledger_recipe, media_hours
from tasks.errors import NightscribeError
from tasks.lake.views import connect
from tasks.media import probe
from tasks.records import Work
from tasks.session import Session

if TYPE_CHECKING:
    import duckdb

SAMPLE = 25


@dataclass(frozen=True)
class Plan:
    """Counts by reason, media hours and machine hours, with what they were estimated from."""

    files: dict[str, int]
    gone: int
    stale: int
    bytes: int
    media_hours: float
    machine_hours: float
    cost: float | None
    currency: str
    assumptions: list[str]
    first_keys: list[str]

    def as_json(self) -> dict[str, Any]:
        return {"estimate": asdict(self)}

    def text(self, *more: str, notes: Sequence[str] = (), begins: bool = False) -> str:
        """The plan for people, with `more` lines and `notes` on what was left out; its last one says that nothing was done,
        unless the work `begins`."""
        if not self.files and not self.gone:
            stale = f" {self.stale} videos were made by an older recipe: --refresh." if self.stale else ""
            return "\n".join([f"Nothing to do.{stale}", *notes])
        lines = [f"{n:>8} {why}" for why, n in self.files.items()]
        if self.gone:
            lines.append(f"{self.gone:>8} gone from the bucket")
        lines += [
            "",
            f"{sum(self.files.values())} files, {self.bytes / 1e9:.2f} GB, about {self.media_hours:.2f} hours of media: "
            f"about {self.machine_hours:.2f} hours of a machine"
            + ("." if self.cost is None else f", {self.cost:.2f} {self.currency}."),
            *self.assumptions,
            "First: " + ", ".join(self.first_keys),
            *more,
            *notes,
            *(() if begins else ("Nothing was done. Without --plan this is carried out.",)),
        ]
        return "\n".join(lines)


def make_plan(session: Session) -> Plan:
    """Estimate a session's work without doing any of it."""
    files: dict[str, int] = {}
    for item in session.work:
        why = "taken over" if item.from_stage == "copy" else item.why
        files[why] = files.get(why, 0) + 1
    heard = session.fresh()
    connection = connect(session.lake) if session.lake.exists() else None
    hours, by = _media_hours(session, heard, connection)
    costs = estimate(
        connection,
        session.settings,
        media_hours=hours,
        recipe=ledger_recipe(session.recipes["emissions"], session.recipes["words"]),
    )
    return Plan(
        files=files,
        gone=len(session.scan.gone),
        stale=session.scan.stale,
        bytes=sum(item.size_bytes for item in heard),
        media_hours=round(hours, 4),
        machine_hours=costs.machine_hours,
        cost=costs.cost,
        currency=costs.currency,
        assumptions=[by, *costs.assumptions],
        first_keys=[item.key for item in session.work[:5]],
    )


def _media_hours(
    session: Session, work: Sequence[Work], connection: duckdb.DuckDBPyConnection | None
) -> tuple[float, str]:
    """Hours by the seconds a byte of a sample of local files; a remote bucket is not read for a plan."""
    total = sum(item.size_bytes for item in work)
    readable = work if session.bucket.local else ()
    sample = random.Random(0).sample(readable, min(SAMPLE, len(readable)))
    seconds, size = 0.0, 0
    for item in sample:
        try:
            path = session.bucket.local_path(item.key)
            assert path is not None
            seconds += (probe(path, session.settings).duration_ms or 0) / 1000
        except (NightscribeError, OSError):
            pass  # broken files take no time to transcribe
        size += item.size_bytes
    if not size or not seconds:
        return media_hours(connection, ((item.key, item.size_bytes) for item in work))
    return total * seconds / size / 3600, f"Length: by {len(sample)} files that were looked into."
