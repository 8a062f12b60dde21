"""One slice of a backfill: the entry point of the deployment that any number of workers share."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.index import RUNNER, run
from tasks.backfill.state import claim_of, open_slice
from tasks.errors import ClaimedElsewhere, RunStopped
from tasks.lake.claims import claimed
from tasks.lake.store import Lake
from tasks.records import Result
from tasks.settings import Settings

log = logging.getLogger("nightscribe")


@flow(
    name="backfill",
    flow_run_name="backfill {backfill} slice {slice} try {attempt}",
    validate_parameters=False,
    task_runner=RUNNER,
)
def backfill(lake: str, backfill: str, slice: int, attempt: int = 1) -> dict[str, Any] | State[Any]:
    """Index what is left of a slice. One worker at a time: a second one ends at once, and a dead one is succeeded."""
    settings = Settings(lake=lake)
    kept = Lake(lake)
    try:
        with claimed(kept, claim_of(backfill, slice), silence_s=settings.silence_s) as claim:
            job, session = open_slice(kept, backfill, slice, settings)
            if session is None:
                return Completed(name="Skipped", message="The slice is done already.")

            def still_ours(results: Sequence[Result]) -> None:
                if claim.lost.is_set():
                    raise RunStopped("Another worker took over this slice.")

            session.listeners.append(still_ours)
            report = run(session).as_json()
            job.finish(slice, report)
            return report
    except ClaimedElsewhere as error:
        log.warning("Slice %d is under way already. %s", slice, error)
        return Completed(name="Skipped", message=str(error))
