"""The night's run of an archive: one at a time over all machines, told apart from a dead one by the lake."""

from __future__ import annotations

import logging
from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.index import run_session
from tasks.errors import ClaimedElsewhere, Misconfigured
from tasks.lake.claims import claim_name, claimed
from tasks.lake.store import Lake
from tasks.runs.backfill.state import leave_to_backfill, yet_to_do
from tasks.runs.session import open_session
from tasks.sources.bucket import open_bucket
from tasks.stages.settings import read_settings

log = logging.getLogger("nightscribe")


@flow(name="nightly", validate_parameters=False)
def nightly(
    bucket: str | None = None,
    lake: str | None = None,
    models: str | None = None,
    retry_failed: bool = False,
    sync: bool = True,
) -> dict[str, Any] | State[Any]:
    """Index what came, changed or went since the last night. When that one still works, this one ends at once.

    Without `sync`, Elasticsearch is left to the deployment of that name.

    Raises:
        Misconfigured: neither the parameter nor the setting `bucket` names one.
    """
    settings = read_settings(lake=lake, models=models)
    where = bucket or settings.bucket
    if not where:
        raise Misconfigured("No bucket is set for the nights.", next='Set bucket = "s3://..." in nightscribe.toml.')
    kept, bucket_id = Lake(settings.lake), open_bucket(where, settings).bucket_id
    try:
        with claimed(kept, claim_name("nightly", bucket_id), silence_s=settings.silence_s) as claim:
            planned = yet_to_do(kept, bucket_id)
            session = open_session(where, settings, retry_failed=retry_failed, sync=sync)
            session.listeners.append(claim.still_ours)
            if left := leave_to_backfill(session, planned):
                log.warning(
                    "%d videos are left to the backfill that is under way: nightscribe backfill %s", left, where
                )
            return run_session(session, where)
    except ClaimedElsewhere as error:
        log.warning("The last night is not over. %s", error)
        return Completed(name="Skipped", message=str(error))
