"""Keeping the index in step with the lake: what changed since it last looked, and what failed then."""

from __future__ import annotations

import contextlib
import json
import logging
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from elasticsearch import Elasticsearch

from tasks.errors import Misconfigured, NightscribeError
from tasks.lake.create import create_lake
from tasks.lake.store import Lake
from tasks.lake.views import Snapshot, connect
from tasks.lake.vocabulary import spoken_languages
from tasks.search.elastic.changes import changed_since, seen, unhealed
from tasks.search.elastic.connection import Connection, reached
from tasks.search.elastic.documents import TABLES, current
from tasks.search.elastic.index import check_index, read_state, write_state
from tasks.search.elastic.mapping import REBUILD, Names
from tasks.search.elastic.push import Pushed, push
from tasks.search.elastic.target import Target
from tasks.search.trial import unquoted
from tasks.settings import Settings

log = logging.getLogger("nightscribe")


@dataclass
class SyncReport:
    """What `sync --json` prints. `outcome` is "done" only when the index has everything that the lake had."""

    kind: str = "sync"
    outcome: str = "failed"
    index: str | None = None
    lake_version: int = 0
    lake_files: str = ""
    videos: int = 0
    passages: int = 0
    vectors: int = 0
    deleted: int = 0
    unchanged: int = 0
    failed: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)
    shortfall: str = ""  # what the index lacks, for those who have no eye on notes

    def count(self, pushed: Pushed) -> None:
        self.videos += pushed.videos
        self.passages += pushed.passages
        self.vectors += pushed.vectors
        self.deleted += pushed.deleted
        self.unchanged += pushed.unchanged
        self.failed += [
            {"video_id": video_id, "generation": generation, "reason": reason}
            for video_id, (generation, reason) in sorted(pushed.failed.items())
        ]

    def sentence(self) -> str:
        """The one line that ends a sync."""
        counted = {
            "videos sent": self.videos,
            "passages sent": self.passages,
            "vectors sent": self.vectors,
            "passages and vectors removed": self.deleted,
            "videos up to date": self.unchanged,
            "videos failed": len(self.failed),
        }
        said = ", ".join(f"{number} {what}" for what, number in counted.items() if number)
        return f"{said}." if said else "Nothing has changed since the last sync."


@dataclass
class Syncer:
    """A lake, a server, and the names in between: what `sync`, `verify` and `rebuild` work with."""

    lake: Lake
    settings: Settings
    client: Elasticsearch
    names: Names
    lake_id: str

    @classmethod
    def of(cls, lake: Lake, settings: Settings) -> Syncer:
        """Raises Misconfigured when no Elasticsearch is set, or no lake is there."""
        client = Connection.of(settings).client()
        create_lake(lake)  # an older lake lacks the tables of syncs
        lake_id = str(lake.table("videos").metadata().id)
        return cls(lake, settings, client, Names(settings.elasticsearch_prefix), lake_id)


def bring_up(syncer: Syncer, report: SyncReport) -> None:
    """Send what changed in the lake since the state of `report.index`, then note the new state."""
    assert report.index is not None
    target = Target(syncer.client, report.index)
    with reached("the question what it has seen"):
        check_index(syncer.client, report.index, syncer.lake_id)
        state = read_state(syncer.client, report.index)
    # After the state: a sync beside this one may have seen more than an earlier snapshot, and noted it.
    snapshot = Snapshot.of(syncer.lake, TABLES)
    report.lake_version, report.lake_files = snapshot.version, seen(snapshot)
    if state and state.lake_version > snapshot.version:
        raise Misconfigured(
            f"The index {report.index} has seen version {state.lake_version} of the lake, which is at {snapshot.version}: "
            "an older copy of the lake was put back. The index is unchanged.",
            next=REBUILD,
        )
    connection = connect(syncer.lake, snapshot, lean=True, history=False)
    changed = changed_since(syncer.lake, snapshot, connection, state)
    due = None if changed is None else sorted({*changed, *unhealed(connection, report.index)})
    languages = spoken_languages(connection)
    if due or due is None:
        report.count(push(target, connection, current(connection, due)))
    finish(syncer, report, languages)


def finish(syncer: Syncer, report: SyncReport, languages: Sequence[str]) -> None:
    """Put failures into the ledger, and only then say what the index has seen."""
    assert report.index is not None
    record_failures(syncer, report)
    with reached("the state of the sync"):
        write_state(syncer.client, report.index, report.lake_version, report.lake_files, languages)


def record_failures(syncer: Syncer, report: SyncReport) -> None:
    """Put failures into the ledger, let searches see the rest; "done" is an outcome without failures."""
    assert report.index is not None
    if report.failed:
        now = datetime.now(UTC)
        rows = [{"failed_at": now, "index_name": report.index, **failure} for failure in report.failed]
        syncer.lake.append("sync_failures", rows, batch_id=f"sync-{uuid.uuid4().hex}")
    if report.videos or report.deleted:
        with reached("a refresh"):
            syncer.client.indices.refresh(index=report.index)
    report.outcome = "failed" if report.failed else "done"
    report.shortfall = f"Videos that were refused: {len(report.failed)}." if report.failed else ""


@contextlib.contextmanager
def recorded(syncer: Syncer, report: SyncReport) -> Iterator[None]:
    """Writes the row of `syncs` when a sync ends, however it ends; one that found nothing to look at writes none."""
    started, clock = datetime.now(UTC), time.monotonic()
    failure: BaseException | None = None
    try:
        yield
    except BaseException as error:
        failure, report.outcome = error, "failed"
        raise
    finally:
        report.seconds = round(time.monotonic() - clock, 3)
        looked = report.videos or report.deleted or report.unchanged or report.kind != "sync"
        if looked or report.outcome != "done":
            _record(syncer, report, started, failure)


def _record(syncer: Syncer, report: SyncReport, started: datetime, failure: BaseException | None) -> None:
    body = asdict(report) | {"failed": report.failed[:100], "error": str(failure) if failure else None}
    body["notes"] = [unquoted(note) for note in report.notes]  # what was said is for those who look on, not for keeping
    row = {
        "sync_id": uuid.uuid4().hex,
        "kind": report.kind,
        "index_name": report.index,
        "started_at": started,
        "ended_at": datetime.now(UTC),
        "outcome": report.outcome,
        "lake_version": report.lake_version,
        "videos": report.videos,
        "passages": report.passages,
        "deleted": report.deleted,
        "failed": len(report.failed),
        "report_json": json.dumps(body),
    }
    try:
        syncer.lake.append("syncs", [row], batch_id=f"sync-{row['sync_id']}")
    except NightscribeError as fault:
        if failure is None:
            raise
        log.warning("The row of this sync is missing in the table syncs: %s", fault)
