"""Keep Elasticsearch in step with the lake: the entry point of a deployment of its own."""

from __future__ import annotations

from typing import Any

from prefect import flow

from tasks.errors import SearchUnavailable
from tasks.orchestrated import sync_search
from tasks.settings import Settings


@flow(name="sync", validate_parameters=False)
def sync(lake: str | None = None) -> dict[str, Any]:
    """Send what changed in the lake since the last sync; fails when the index lacks something afterwards."""
    given: dict[str, Any] = {"lake": lake} if lake else {}
    settings = Settings(**given)
    report: dict[str, Any] = sync_search(settings.lake, settings)
    if report["outcome"] != "done":
        raise SearchUnavailable(f"The index is behind the lake: {report['shortfall']}", next="nightscribe sync")
    return report
