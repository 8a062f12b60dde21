"""Make the stages that are due of some videos, one stage after the other in the order of need."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import replace

from tasks.errors import NightscribeError, Permanent, Transient, Unexpected, translate_errors
from tasks.records import Outcome
from tasks.runs.pipeline.lane import lane
from tasks.runs.pipeline.making import Making
from tasks.runs.pipeline.state import Pipeline
from tasks.stages.base import Stage
from tasks.stages.registry import STAGES


def run_stages(run: Pipeline, videos: Sequence[Making]) -> None:
    """Make what is wanted, where what it needs is there. A stage that fails for a video fails there alone: the video keeps
    its other stages, and those that need this one wait for it.

    Raises:
        ModelNotAvailable, RunStopped: nothing can be said of the videos.
    """
    for stage in STAGES:
        for video in videos:
            fault = next((video.faults[name] for name in stage.needs if name in video.faults), None)
            if fault is not None and _is_wanted(stage, video):
                video.outcomes[stage.name] = _failed(run, stage, video, fault)
        due = [video for video in videos if _is_due(stage, video)]
        if not due:
            continue
        with lane(run) if stage.device == "gpu" and run.device != "cpu" else contextlib.nullcontext():
            for video in due:
                _make(run, stage, video)


def _is_due(stage: Stage, video: Making) -> bool:
    return _is_wanted(stage, video) and video.there.issuperset(stage.needs)


def _is_wanted(stage: Stage, video: Making) -> bool:
    return stage.load is not None and stage.name in video.wanted and stage.name not in video.outcomes


def _make(run: Pipeline, stage: Stage, video: Making) -> None:
    started = time.monotonic() - sum(video.spent.pop(need, 0.0) for need in stage.needs)
    try:
        with translate_errors(), run.clock.working():
            rows = run.runner(stage).make(video.input)
    except (Permanent, Transient, Unexpected) as error:
        video.outcomes[stage.name] = _failed(run, stage, video, error, time.monotonic() - started)
        return
    video.outcomes[stage.name] = Outcome(rows, time.monotonic() - started)
    video.input = replace(video.input, rows={**video.input.rows, **rows})
    if any(rows.values()):
        video.there.add(stage.name)


def _failed(
    run: Pipeline, stage: Stage, video: Making, error: NightscribeError, seconds: float | None = None
) -> Outcome:
    tries = video.tries.get(stage.name, 0) + 1
    return Outcome(
        seconds=seconds,
        reason=error.reason,
        error=str(error)[:2000],
        attempts=tries,
        next_try_at=run.next_try(error, tries),
    )
