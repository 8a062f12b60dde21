"""Every Prefect task of Nightscribe, and the one retry policy. What a task does stands elsewhere, in plain Python.

Not called `tasks.py`: a worker loads a flow with its folder before all others on the path, where that would hide the package.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.tasks import exponential_backoff

from tasks.errors import Transient
from tasks.records import Result, VideoTask
from tasks.runs import pipeline
from tasks.runs.pipeline import Batch
from tasks.runs.session import Session
from tasks.settings import Settings


async def is_transient(task: Any, run: TaskRun, state: State[Any]) -> bool:
    """Try again only what may go better the next time."""
    try:
        await state.aresult()
    except Transient:
        return True
    except BaseException:  # a fault of ours or of the user's would only repeat itself
        return False
    return False


# Results stay in memory: they are batches of words on their way to the lake, not something to cache.
_POLICY: dict[str, Any] = {
    "retries": 3,
    "retry_delay_seconds": exponential_backoff(backoff_factor=2),
    "retry_jitter_factor": 0.5,
    "retry_condition_fn": is_transient,
    "cache_policy": NO_CACHE,
    "persist_result": False,
}


@task(name="prepare", task_run_name="prepare {batch}", **_POLICY)
def prepare_batch(session: Session, batch: Batch) -> Batch:
    """Fetch, probe, decode audio."""
    return pipeline.prepare(session.pipeline, batch)


@task(name="emissions", task_run_name="emissions {batch}", **_POLICY)
def emissions_of_batch(session: Session, batch: Batch) -> Batch:
    """Emissions, in the lane of the device."""
    return pipeline.compute_emissions(session.pipeline, batch)


@task(name="finish", task_run_name="finish {batch}", **_POLICY)
def finish_batch(session: Session, batch: Batch) -> Batch:
    """Words, cues, topics."""
    return pipeline.finish(session.pipeline, batch)


@task(name="commit", task_run_name="commit {batch}", **_POLICY)
def commit_batch(session: Session, batch: Batch) -> list[Result]:
    """Rows in the lake."""
    return pipeline.commit_batch(session.pipeline, batch)


@task(name="refresh", **_POLICY)
def refresh_videos(session: Session, work: Sequence[VideoTask]) -> list[Result]:
    """New cues, topics or metadata from the words there are, committed."""
    return session.pipeline.commit(pipeline.refresh(session.pipeline, work))


@task(name="sync search", **_POLICY)
def sync_search(lake: str, settings: Settings) -> dict[str, Any]:
    """What the lake has, into Elasticsearch."""
    from tasks.search.elastic.sync import (
        sync_lake,  # half a second, which a run without Elasticsearch need not wait for
    )

    return sync_lake(lake, settings)


@task(name="mark gone", **_POLICY)
def mark_gone(session: Session) -> list[Result]:
    """Rows for videos that are no longer in the bucket."""
    return session.pipeline.commit(session.pipeline.gone(session.scan.gone))
