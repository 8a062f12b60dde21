"""Index a bucket: scan it, then transcribe, cut, classify and commit what is new, batch by batch."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable
from contextlib import nullcontext
from typing import Any

import httpx
from prefect import Flow, flow
from prefect.artifacts import create_markdown_artifact
from prefect.futures import PrefectFuture
from prefect.task_runners import ThreadPoolTaskRunner

from flows.server import is_away
from flows.steps import (
    commit_batch,
    emissions_of_batch,
    finish_batch,
    mark_gone,
    prepare_batch,
    refresh_videos,
    sync_search,
)
from tasks.errors import NightscribeError, OrchestrationUnavailable, Unexpected, first_line, translate_errors
from tasks.machine.scratch import run_folder, with_priority
from tasks.runs.pipeline import Batch
from tasks.runs.report import RunReport
from tasks.runs.session import Session, cut_refreshed, open_session
from tasks.stages.settings import read_settings

log = logging.getLogger("nightscribe")
Steps = tuple[PrefectFuture[Any], ...]
RUNNER: Any = ThreadPoolTaskRunner(max_workers=8)


FLOW: Any = {"name": "index", "flow_run_name": "index {bucket}", "validate_parameters": False, "task_runner": RUNNER}


@flow(**FLOW)
def index(
    bucket: str,
    lake: str | None = None,
    models: str | None = None,
    limit: int | None = None,
    retry_failed: bool = False,
    refresh: bool = False,
    stages: list[str] | None = None,
    only: bool = False,
    sync: bool = True,
) -> dict[str, Any]:
    """The entry point of deployments: open a session by these parameters and the settings, and run it.

    Without `sync`, Elasticsearch is left as it is.
    """
    settings = read_settings(lake=lake, models=models)
    session = open_session(
        bucket,
        settings,
        limit=limit,
        retry_failed=retry_failed,
        refresh=refresh,
        stages=stages or (),
        only=only,
        sync=sync,
    )
    return reported(session)


def reported(session: Session) -> dict[str, Any]:
    """Run a session, and leave its report with Prefect; returns it."""
    report = run(session)
    try:
        create_markdown_artifact(report.markdown(), key="index-report", description=report.sentence())
    except (httpx.HTTPError, RuntimeError) as error:
        if not is_away(error):
            raise
        log.warning("Prefect did not take the report of this run: %s", first_line(error))
    return report.as_json()


def run(session: Session) -> RunReport:
    """All of a session: its work, then Elasticsearch (not after a slice: a backfill syncs once), and its row of `runs`."""
    first = nullcontext() if session.pipeline.low_priority else with_priority(session.settings.scratch, session.run_id)
    with run_folder(session.settings.scratch, session.run_id), first:
        try:
            work_through(session)
            if not session.pipeline.low_priority:
                session.let_search_follow(sync_search)
            outcome = "done"
        except BaseException as error:
            outcome = "interrupted" if isinstance(error, KeyboardInterrupt) else "failed"
            session.failure = error
            raise
        finally:
            session.pipeline.stop()
            report = session.close(outcome)
    return report


def work_through(session: Session) -> None:
    """Mark what is gone, refresh what needs no audio, hear the rest, and last what had the same content as one of these."""
    if session.scan.gone:
        session.committed(mark_gone(session))
    for part in cut_refreshed(session.refreshed()):
        session.committed(refresh_videos(session, part))

    run_batches(session, session.batches())
    run_batches(session, session.late_batches())


def run_batches(session: Session, batches: Iterable[Batch]) -> None:
    """Keep a few batches under way until all are committed."""
    under_way: deque[tuple[Batch, Steps]] = deque()
    for batch in batches:
        under_way.append((batch, submit_steps(session, batch)))
        if len(under_way) >= session.settings.look_ahead:
            await_batch(session, *under_way.popleft())
    while under_way:
        await_batch(session, *under_way.popleft())


def submit_steps(session: Session, batch: Batch) -> Steps:
    """Start the steps of a batch, each when the one before is done."""
    ready = prepare_batch.submit(session, batch)
    heard = emissions_of_batch.submit(session, ready)  # type: ignore[call-overload]
    finished = finish_batch.submit(session, heard)
    return ready, heard, finished, commit_batch.submit(session, finished)  # type: ignore[call-overload]


def await_batch(session: Session, batch: Batch, steps: Steps) -> None:
    """Wait for a batch. One that failed over one of its videos is done again, each video alone."""
    try:
        with translate_errors():
            # All of them: after a step that failed, Prefect knows of the later ones only that they never began.
            *_, results = [step.result() for step in steps]
    except NightscribeError as error:
        if isinstance(error, Unexpected) and is_away(error):
            raise _went_away(session, error.__cause__ or error) from error
        singles = session.split_batch(batch, error)
        for single in singles:
            await_batch(session, single, submit_steps(session, single))
        if not singles:
            session.give_up(batch, error)
    else:
        session.committed(results)


def flow_of(session: Session) -> Flow[[str], dict[str, Any]]:
    """The flow `index` of a session that is open already."""

    @flow(**FLOW)
    def opened(bucket: str) -> dict[str, Any]:
        return reported(session)

    return opened


def run_session(session: Session, bucket: str) -> dict[str, Any]:
    """Run a session that is open already as the flow `index`.

    A Prefect server that went away when all was done has missed the end of the run, and nothing else is amiss.

    Raises:
        OrchestrationUnavailable: it went away before; what is in the lake stays there.
    """
    try:
        report: dict[str, Any] = flow_of(session)(bucket)
        return report
    except (httpx.HTTPError, RuntimeError) as error:
        if session.failure is not None:  # which Prefect could not tell its server
            raise session.failure from None
        if not is_away(error):
            raise
        if session.outcome == "done":
            log.warning(
                "The Prefect server went away (%s). The run had come to its end; the server was not told.",
                first_line(error),
            )
            return session.report.as_json()
        raise _went_away(session, error) from error


def _went_away(session: Session, error: BaseException) -> OrchestrationUnavailable:
    n = sum(session.report.done.values())
    kept = f"{n} video{'s' * (n != 1)} of this run {'is' if n == 1 else 'are'} in the lake."
    return OrchestrationUnavailable(
        f"The Prefect server went away ({first_line(error)}). {kept}", next="The same command goes on from there."
    )
