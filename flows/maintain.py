"""Care of the lake, every week: the entry point of a deployment of its own."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from tasks.errors import ClaimedElsewhere, LakeUnreadable
from tasks.lake.claims import claimed
from tasks.lake.store import Lake
from tasks.runs.maintenance import take_care
from tasks.stages.settings import read_settings


@flow(name="maintain", validate_parameters=False)
def maintain(lake: str | None = None) -> dict[str, Any] | State[Any]:
    """Migrate, forget what is overdue, expire, sweep, compact, vacuum, check. Fails when the check finds a fault."""
    settings = read_settings(lake=lake)
    kept = Lake(settings.lake)
    try:
        with claimed(kept, "maintain", silence_s=settings.silence_s):
            done = take_care(kept, settings)
    except ClaimedElsewhere as error:
        return Completed(name="Skipped", message=str(error))
    if done.problems:
        raise LakeUnreadable(
            f"{len(done.problems)} faults in the lake: {'; '.join(done.problems[:5])}",
            next="nightscribe maintain --check",
        )
    return asdict(done)
