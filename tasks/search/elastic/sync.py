"""Bring the index up to the lake."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from tasks.lake.store import Lake
from tasks.search.elastic.connection import reached
from tasks.search.elastic.index import ensure_read, live_index
from tasks.search.elastic.rebuild import rebuild
from tasks.search.elastic.syncer import Syncer, SyncReport, bring_up, recorded
from tasks.settings import Settings


def sync(lake: Lake, settings: Settings) -> SyncReport:
    """Bring the index up to the lake; the first time, make it. Safe to repeat, to kill, and to run twice at once.

    Raises:
        SearchUnavailable: Elasticsearch does not answer; what it took stays, and the next sync goes on from there.
        Misconfigured: see `check_index`; or the index has seen a later lake than this one.
    """
    syncer = Syncer.of(lake, settings)
    with reached("the names of its indices"):
        index = live_index(syncer.client, syncer.names)
        if index is not None:
            ensure_read(syncer.client, syncer.names, index)
    if index is None:
        report = rebuild(syncer)
        report.notes.insert(0, "There was no index yet.")
        return report
    report = SyncReport(index=index)
    with recorded(syncer, report):
        bring_up(syncer, report)
    return report


def sync_lake(lake: str, settings: Settings) -> dict[str, Any]:
    """`sync` of the lake at a URI, with its report as a document."""
    return asdict(sync(Lake(lake), settings))
