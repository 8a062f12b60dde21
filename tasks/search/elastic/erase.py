"""Forgotten videos leave Elasticsearch: their documents in every index of ours, and what segments still have of them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from elasticsearch import Elasticsearch

from tasks.errors import SearchUnavailable
from tasks.lake.store import Lake
from tasks.search.elastic.connection import reached
from tasks.search.elastic.index import live_index
from tasks.search.elastic.push import removal
from tasks.search.elastic.sync import sync
from tasks.search.elastic.syncer import Syncer
from tasks.search.elastic.target import Target
from tasks.search.elastic.verify import every_hit
from tasks.settings import Settings

_EXPUNGE = "merge.policy.expunge_deletes_allowed"
WAIT_S = 60.0  # Elasticsearch looks every 30 s how far its copies are
MERGE_S = 3600.0  # a merge makes graphs of vectors anew


def erase(lake: Lake, settings: Settings, ids: Sequence[str]) -> dict[str, Any]:
    """Remove documents of videos that the lake has buried; returns the indices and how many documents went.

    The live index keeps one document without any text for each, by which a late sync of an older state is refused.

    Raises:
        SearchUnavailable, Misconfigured.
    """
    syncer = Syncer.of(lake, settings)
    with reached("the names of its indices"):
        indices = sorted(syncer.client.indices.get(index=syncer.names.pattern, allow_no_indices=True))
        live = live_index(syncer.client, syncer.names)
    deleted = kept = 0
    if live is not None:
        report = sync(lake, settings)
        deleted += report.deleted
    for index in indices:
        target = Target(syncer.client, index)
        with reached("the removal of forgotten videos"):
            syncer.client.indices.refresh(index=index)
            hits = list(every_hit(syncer.client, index, {"terms": {"video_id": list(ids)}}, ["kind"]))
            due = [hit for hit in hits if index != live or hit["_source"]["kind"] != "video"]
            for operation, id_, status, reason in (
                target.bulk(removal(h["_id"], h["_version"]) for h in due) if due else ()
            ):
                if status >= 300 and status != 404:
                    raise SearchUnavailable(
                        f"{operation} of {id_} in {index}: {status} {reason}", next="nightscribe forget"
                    )
            deleted += len(due)
            syncer.client.indices.refresh(index=index)
        kept += _expunge(syncer.client, index)
    return {"indices": indices, "documents": deleted, "kept_in_segments": kept}


def _expunge(client: Elasticsearch, index: str) -> int:
    """Merge the segments that have deleted documents, which by itself may never happen; returns how many are left.

    Elasticsearch keeps deleted documents for copies that lag behind, until it has asked them.
    """
    with reached("the merging of its segments"):
        client.indices.put_settings(index=index, settings={_EXPUNGE: 0})
        try:
            until = None
            while True:
                client.indices.flush(index=index, force=True, wait_if_ongoing=True)
                _merge(client, index)
                client.indices.refresh(index=index)
                left = int(client.indices.stats(index=index, metric="docs")["_all"]["primaries"]["docs"]["deleted"])
                until = until or time.monotonic() + WAIT_S  # from the end of the first, which may take long
                if not left or time.monotonic() >= until:
                    return left
                time.sleep(1.0)
        finally:
            client.indices.put_settings(index=index, settings={_EXPUNGE: None})


def _merge(client: Elasticsearch, index: str) -> None:
    """Without an answer that is waited for: it would be asked for again when it takes longer than other answers may."""
    client.indices.forcemerge(index=index, only_expunge_deletes=True, wait_for_completion=False)
    until, wait_s = time.monotonic() + MERGE_S, 0.1
    while time.monotonic() < until:
        time.sleep(wait_s)
        merges = client.indices.stats(index=index, metric="merge")["_all"]["total"]["merges"]
        if not merges["current"]:
            return
        wait_s = min(1.0, 2 * wait_s)
