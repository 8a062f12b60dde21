"""What a run would do, and how long it would take: hours of media from a sample of the files, speed from past runs."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from tasks.errors import NightscribeError
from tasks.lake.views import connect
from tasks.media import probe
from tasks.quantities import lasting, size
from tasks.records import VideoTask
from tasks.runs.costs import estimate, ledger_recipe, media_hours
from tasks.runs.session import Session
from tasks.runs.stage_costs import StageEstimate, estimate_stages, lengths_of
from tasks.stages.registry import STAGES

if TYPE_CHECKING:
    import duckdb

SAMPLE = 25


@dataclass(frozen=True)
class Plan:
    """Counts by reason, bytes and hours of media that are read, and machine hours, with what they were estimated from."""

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
    stages: list[StageEstimate] = field(default_factory=list)
    unmeasured: list[str] = field(default_factory=list)  # stages whose time is in no sum: no run of the lake tells it

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
            f"{sum(self.files.values())} files, {size(self.bytes)} to be read, about {_hours(self.media_hours)} of media: "
            f"about {_hours(self.machine_hours)} of a machine"
            + ("." if self.cost is None else f", {self.cost:.2f} {self.currency}.")
            + (f" Not in it: {', '.join(self.unmeasured)}, until a run has measured that." if self.unmeasured else ""),
            *(_line(one, self.currency) for one in self.stages),
            *self.assumptions,
            "First: " + ", ".join(self.first_keys),
            *more,
            *notes,
            *(() if begins else ("Nothing was done. Without --plan this is carried out.",)),
        ]
        return "\n".join(lines)


def _line(one: StageEstimate, currency: str) -> str:
    """`  topics     120 videos, about 1 min, 0.01 USD`."""
    spent = "not measured yet" if one.seconds is None else f"about {lasting(1000 * one.seconds)}"
    money = "" if one.cost is None else f", {one.cost:.2f} {currency}"
    return f"  {one.stage:<12} {one.videos} video{'s' * (one.videos != 1)}, {spent}{money}"


def _hours(hours: float) -> str:
    return lasting(3_600_000 * hours)


def make_plan(session: Session) -> Plan:
    """Estimate a session's work without doing any of it."""
    files: dict[str, int] = {}
    for item in session.work:
        why = "taken over" if item.source_id else _WHY.get(item.why, item.why)
        files[why] = files.get(why, 0) + 1
    read = [item for item in session.work if item.is_decoded]
    heard = [item for item in read if item.is_transcribed]
    connection = connect(session.lake, lean=True, history=False) if session.lake.exists() else None
    hours, by = _media_hours(session, heard, connection)
    known = lengths_of(connection, [item for item in read if not item.is_transcribed])
    again_s = sum(seconds for seconds, _ in known.values())
    costs = estimate(
        connection,
        session.settings,
        media_hours=hours,
        recipe=ledger_recipe(session.recipes["emissions"], session.recipes["words"]),
    )
    stages = estimate_stages(connection, session.settings, session.recipes, session.work, media_hours=hours)
    # What is heard goes by whole runs, start and end included; what is made beside it by its own stages.
    beside = [item for item in session.work if not item.is_transcribed and item.source_id is None]
    again = estimate_stages(connection, session.settings, session.recipes, beside, media_hours=0.0)
    more_s = sum(one.seconds or 0.0 for one in again)
    more_cost = sum(one.cost or 0.0 for one in again)
    # The speed of past runs counts all of a transcript, and where there were none, a guess counts all.
    apart = {stage.name for stage in STAGES if stage.together is None} if costs.measured else set()
    uncounted = apart | {one.stage for one in again}
    # Of what is not heard, neither the speed of runs nor a sample of files says anything.
    length, guessed = (
        (by, costs.assumptions) if heard or not read else ("Length: as the lake has it.", costs.assumptions[1:])
    )
    return Plan(
        stages=stages,
        unmeasured=[one.stage for one in stages if one.seconds is None and one.stage in uncounted],
        files=files,
        gone=len(session.scan.gone),
        stale=session.scan.stale,
        bytes=sum(item.size_bytes for item in read),
        media_hours=round(hours + again_s / 3600, 4),
        machine_hours=round(costs.machine_hours + more_s / 3600, 4),
        cost=None if costs.cost is None else round(costs.cost + more_cost, 6),
        currency=costs.currency,
        assumptions=[length, *guessed],
        first_keys=[item.key for item in session.work[:5]],
    )


_WHY = {"failed": "retried stages", "missing": "missing stages"}


def _media_hours(
    session: Session, work: Sequence[VideoTask], connection: duckdb.DuckDBPyConnection | None
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
