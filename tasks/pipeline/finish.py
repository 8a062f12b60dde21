"""Finish: words from the decoders, cues and topics from the words, rows of all of it."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from tasks.errors import DecoderDied, Unexpected, foreseen
from tasks.pipeline.listen import listen
from tasks.pipeline.state import Batch, Item, Pipeline
from tasks.records import Result, Topic, Word
from tasks.speech.pool import gather
from tasks.subtitles import CueRules, make_cues


def finish(run: Pipeline, batch: Batch) -> Batch:
    """Collect words, cut cues, classify; afterwards every item has its result.

    Raises:
        DecoderDied: a beam search process was killed; the next try listens to the batch again.
    """
    if not batch.heard:
        listen(run, batch)
    for item in batch.items:
        if item.result is not None:
            continue
        started = time.monotonic()
        try:
            with foreseen():
                item.result = _with_words(run, item, gather(item.futures))
        except DecoderDied:
            batch.heard = False
            raise
        except Unexpected as error:
            item.result = run.failed(item, error)
        item.seconds["decode"] = time.monotonic() - started
        discard(item)
    started = time.monotonic()
    for item in batch.items:
        assert item.result is not None
        if item.result.status in ("indexed", "no_speech", "no_audio"):
            try:
                with foreseen(), run.clock.working():
                    item.result = replace(item.result, topics=topics_of(run, item.result))
            except Unexpected as error:
                item.result = run.failed(item, error)
    share = (time.monotonic() - started) / max(1, len(batch.items))
    for item in batch.items:
        assert item.result is not None
        item.result = replace(item.result, seconds={**item.seconds, "topics": share})
    return batch


def discard(item: Item) -> None:
    """Let go of what an item holds in memory and in scratch."""
    item.futures = []
    if item.audio is not None:
        Path(item.audio.path).unlink(missing_ok=True)


def _with_words(run: Pipeline, item: Item, words: tuple[Word, ...]) -> Result:
    assert item.audio is not None
    duration = max(item.audio.duration_ms, (item.probe.duration_ms or 0) if item.probe else 0)
    cues = tuple(make_cues(words, CueRules.of(run.settings), duration_ms=item.audio.duration_ms))
    return replace(
        run.result(item, "indexed" if words else "no_speech"),
        reason="truncated" if item.audio.incomplete else None,
        error=item.audio.incomplete,
        duration_ms=duration,
        words=words,
        cues=cues,
        speech_ms=round(item.speech_frames * run.acoustic.frame_ms),
    )


def topics_of(run: Pipeline, result: Result) -> tuple[Topic, ...]:
    """Topics of a result by its metadata and words."""
    if run.topic_model is None:
        return ()
    from tasks.topics import classify

    return tuple(
        classify(
            run.topic_model,
            result.metadata,
            result.words,
            result.duration_ms or 0,
            window_s=run.settings.topic_window_s,
            keep=run.settings.topic_keep,
        )
    )


def commit_batch(run: Pipeline, batch: Batch) -> list[Result]:
    """Write the batch's results; the last step."""
    return run.commit([item.result for item in batch.items if item.result is not None])
