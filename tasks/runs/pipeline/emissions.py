"""Listen: emissions of a batch's audio through one pool of windows; utterances go to the decoders at once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from tasks.runs.pipeline.lane import lane
from tasks.runs.pipeline.state import Batch, Hearing, Pipeline, PreparedVideo
from tasks.speech.decode import Utterance
from tasks.stages.words.search import splitter_of

if TYPE_CHECKING:
    from tasks.speech.acoustic import AcousticModel

GROUP_FRAMES = 3000  # emissions of a minute travel to the pool together


def compute_emissions(run: Pipeline, batch: Batch) -> Batch:
    """Emissions of all the batch's audio. A second try begins again."""
    transcribe(run, [item for item in batch.items if item.result is None and item.work.is_transcribed])
    batch.heard = True
    return batch


def transcribe(run: Pipeline, items: Sequence[PreparedVideo]) -> None:
    """Send what is to be heard of some videos through the model, when it is their turn on the device."""
    heard = [(item, hearing) for item in items for hearing in item.hearings]
    model = run.acoustic if heard else None
    for _, hearing in heard:
        hearing.futures, hearing.speech_frames = [], 0
    with lane(run):
        if model is not None:
            with run.clock.working():
                _compute(run, heard, model)


def _compute(run: Pipeline, heard: list[tuple[PreparedVideo, Hearing]], model: AcousticModel) -> None:
    started = time.monotonic()
    current: int | None = None
    splitter, waiting = splitter_of(model, run.settings), list[Utterance]()
    audios, silences = [hearing.audio for _, hearing in heard], [hearing.silence for _, hearing in heard]
    for number, piece in model.emissions(audios, silences):
        if number != current:
            if current is not None:
                _send(run, heard[current][1], [*waiting, *splitter.finish()], final=True)
            current, splitter, waiting = number, splitter_of(model, run.settings), []
        waiting.extend(splitter.push(piece))
        waiting = _send(run, heard[number][1], waiting, final=False)
    if current is not None:
        _send(run, heard[current][1], [*waiting, *splitter.finish()], final=True)
    spent = time.monotonic() - started
    total = sum(hearing.audio.samples for _, hearing in heard) or 1
    for item, hearing in heard:
        item.seconds["emissions"] = item.seconds.get("emissions", 0.0) + spent * hearing.audio.samples / total


def _send(run: Pipeline, hearing: Hearing, waiting: list[Utterance], *, final: bool) -> list[Utterance]:
    """Pass utterances on in groups of about a minute; returns those too few for a group (none when `final`)."""
    group: list[Utterance] = []
    frames = 0
    for utterance in waiting:
        group.append(utterance)
        frames += len(utterance.log_probs)
        if frames >= GROUP_FRAMES:
            _submit(run, hearing, group, frames)
            group, frames = [], 0
    if final and group:
        _submit(run, hearing, group, frames)
        group = []
    return group


def _submit(run: Pipeline, hearing: Hearing, group: list[Utterance], frames: int) -> None:
    hearing.speech_frames += frames
    future = run.pool().submit(group)
    run.clock.enter()
    future.add_done_callback(lambda _: run.clock.leave())
    hearing.futures.append(future)
