"""Finish: words from the decoders, cues and topics from the words, rows of all of it."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

from tasks.errors import DecoderDied, Permanent, Transient, Unexpected, foreseen
from tasks.pipeline.listen import hear, listen
from tasks.pipeline.prepare import read_next
from tasks.pipeline.state import Batch, Item, Pipeline
from tasks.records import Result, Topic, Word
from tasks.speech.pool import gather
from tasks.subtitles import CueRules, make_cues

CLEARLY = 0.8  # of the words of the better of two sounds: one that has more of them is as good


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
                item.result = _with_words(run, item, _heard(run, item))
        except DecoderDied:
            batch.heard = False
            raise
        except (Permanent, Transient, Unexpected) as error:
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
    for hearing in item.hearings:
        hearing.futures = []
        Path(hearing.audio.path).unlink(missing_ok=True)


def _heard(run: Pipeline, item: Item) -> tuple[Word, ...]:
    """The words of a video. Of rivals the better is kept; while there is no word, the next sound is heard."""
    words = [gather(hearing.futures) for hearing in item.hearings]
    first = item.hearings[0]
    while not any(words) and item.sources:
        discard(item)
        read_next(run, item)
        hear(run, [item])
        words = [gather(hearing.futures) for hearing in item.hearings]
        if not any(words) and not item.sources:  # what the row names is what was chosen first
            discard(item)
            item.hearings, words = [first], [()]
    worth = [sum(word.confidence**2 for word in said) for said in words]
    best = worth.index(max(worth))
    if len(words) > 1 and min(worth) > CLEARLY * max(worth):
        best = 0
        channels = ", ".join(str(hearing.audio.channels[0]) for hearing in item.hearings)
        item.note = (
            f"Channels {channels} are different programmes; the first was heard. Set audio_channels for another."
        )
    item.hearings.insert(0, item.hearings.pop(best))
    assert item.probe is not None
    item.probe = item.probe.seen_with(item.hearings[0].audio.track)
    return words[best]


def _with_words(run: Pipeline, item: Item, words: tuple[Word, ...]) -> Result:
    hearing, probed = item.hearings[0], item.probe
    audio = hearing.audio
    assert probed is not None
    length_ms = audio.end_ms
    if audio.clock != "jumps" and (probed.exact or (length_ms is None and probed.video_stream is not None)):
        length_ms = probed.duration_ms  # a picture may go on after the sound
    cues = tuple(make_cues(words, CueRules.of(run.settings), duration_ms=audio.duration_ms))
    return replace(
        run.result(item, "indexed" if words else "no_speech"),
        reason="truncated" if audio.incomplete else None,
        error=audio.incomplete or item.note,
        duration_ms=max(audio.duration_ms, length_ms or 0),
        words=words,
        cues=cues,
        speech_ms=round(hearing.speech_frames * run.acoustic.frame_ms),
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
