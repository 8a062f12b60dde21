"""One slice of a backfill: the entry point of the deployment that any number of workers share."""

from __future__ import annotations

import logging
import socket
import time
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from flows.index import RUNNER, run
from tasks.errors import ClaimedElsewhere, Misconfigured, NotFound, RunStopped
from tasks.lake.claims import claimed
from tasks.lake.store import Lake
from tasks.runs.backfill.drive import REFUSED
from tasks.runs.backfill.state import claim_of, open_slice, tidy
from tasks.stages.settings import read_settings

log = logging.getLogger("nightscribe")
PAUSE_S = 60.0  # so that a machine that can do no slice does not take them all from those that can


@flow(
    name="backfill",
    flow_run_name="backfill {backfill} slice {slice} try {attempt}",
    validate_parameters=False,
    task_runner=RUNNER,
)
def backfill(lake: str, backfill: str, slice: int, attempt: int = 1) -> dict[str, Any] | State[Any]:
    """Index what is left of a slice. One worker at a time: a second one ends at once, and a dead one is succeeded."""
    pause_s = PAUSE_S
    try:
        settings, kept = read_settings(lake=lake), Lake(lake)
        pause_s = min(PAUSE_S, settings.silence_s / 2)
        with claimed(kept, claim_of(backfill, slice), silence_s=settings.silence_s, attempt=attempt) as claim:
            job, session = open_slice(kept, backfill, slice, settings)
            if session is None:
                return Completed(name="Skipped", message="The slice is done already.")
            session.listeners.append(claim.still_ours)
            done = run(session)
            if done.lost:
                raise RunStopped(f"{done.lost} videos got no row. The last failure: {done.failures[-1]['error']}")
            report = done.as_json()
            job.finish(slice, report)
            return report
    except ClaimedElsewhere as error:
        log.warning("Slice %d is under way already. %s", slice, error)
        return Completed(name="Skipped", message=str(error))
    except NotFound as error:
        return Completed(name="Skipped", message=f"{error} {error.next}")
    except Misconfigured as error:
        said = f"{error} {error.next}"
        log.error("This machine can do no slice of this backfill. %s", said)
        time.sleep(pause_s)
        return Failed(name=REFUSED, message=f"{socket.gethostname()}: {said}")
    finally:
        tidy(Lake(lake), backfill)
