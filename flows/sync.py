"""Keep Elasticsearch in step with the lake: the entry point of a deployment of its own."""

from __future__ import annotations

from typing import Any

from prefect import flow
from prefect.client.schemas.objects import State
from prefect.states import Completed

from flows.steps import sync_search
from tasks.errors import ClaimedElsewhere, SearchUnavailable
from tasks.lake.claims import claimed
from tasks.lake.store import Lake
from tasks.stages.settings import read_settings


@flow(name="sync", validate_parameters=False)
def sync(lake: str | None = None) -> dict[str, Any] | State[Any]:
    """Send what changed in the lake since the last sync; fails when the index lacks something afterwards.

    When another one is at it, this one ends at once: that one brings what this one would have.
    """
    settings = read_settings(lake=lake)
    kept = Lake(settings.lake)
    try:
        with claimed(kept, "sync", silence_s=settings.silence_s):
            report: dict[str, Any] = sync_search(kept.uri, settings)
    except ClaimedElsewhere as error:
        return Completed(name="Skipped", message=str(error))
    if report["outcome"] != "done":
        raise SearchUnavailable(f"The index is behind the lake: {report['shortfall']}", next="nightscribe sync")
    return report
