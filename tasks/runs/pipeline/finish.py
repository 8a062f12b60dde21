"""Finish: words from the decoders, all other stages from them, rows of all of it."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from tasks.errors import DecoderDied, ObjectChanged, Permanent, Transient, Unexpected, translate_errors
from tasks.records import Audio, Outcome, Result, Word
from tasks.runs.pipeline.emissions import compute_emissions, transcribe
from tasks.runs.pipeline.known import KnownVideo, load_current, made_from
from tasks.runs.pipeline.lane import lane
from tasks.runs.pipeline.making import Making
from tasks.runs.pipeline.prepare import read_next
from tasks.runs.pipeline.run_stages import run_stages
from tasks.runs.pipeline.state import Batch, Pipeline, PreparedVideo
from tasks.speech.pool import gather
from tasks.stages.base import APART, DECODED, Input, Rows
from tasks.stages.recipes import beside
from tasks.stages.registry import STAGES
from tasks.stages.words.rows import word_rows

NEAR_FRAMES = 2  # of the model that heard a word, within which the one that times it looks
CLEARLY = 0.8  # of the words of the better of two sounds: one that has more of them is as good


def finish(run: Pipeline, batch: Batch) -> Batch:
    """Collect words, and make the stages that stand on them; afterwards every item has its result.

    Raises:
        DecoderDied: a beam search process was killed; the next try transcribes the batch again.
    """
    if not batch.heard:
        compute_emissions(run, batch)
    known = _known(run, batch)
    for item in batch.items:
        if item.result is None:
            started = time.monotonic()
            try:
                with translate_errors():
                    if item.work.is_transcribed:
                        item.result = _with_words(run, item, _heard(run, item), started)
                    else:
                        item.result = _beside_words(run, item, known)
            except DecoderDied:
                batch.heard = False
                raise
            except (Permanent, Transient, Unexpected) as error:
                if item.work.is_transcribed:
                    item.seconds["words"] = time.monotonic() - started
                item.result = run.failed(item, error)
        elif item.making is None and item.result.status == "no_audio":
            item.making = _making(item, item.result)
        if item.making is None or item.making.input.sound is None:
            discard_sound(item)
    for item in batch.items:
        old = known.get(item.work.video_id)
        if old is not None and item.making is not None:
            item.making.there |= old.there - set(item.work.stages)
            if item.work.is_transcribed:  # what some of its stages are made from beside its new words
                remade = {table.name for name in item.work.stages for table in STAGES[name].tables}
                kept: dict[str, Rows] = {name: rows for name, rows in old.rows.items() if name not in remade}
                item.making.input = replace(item.making.input, rows={**kept, **item.making.input.rows})
    run_stages(run, [item.making for item in batch.items if item.making is not None])
    for item in batch.items:
        discard(item)
        assert item.result is not None
        item.result = _whole(run, item, item.result, known.get(item.work.video_id))
    return batch


def _known(run: Pipeline, batch: Batch) -> dict[str, KnownVideo]:
    """What the lake has of the videos of which only some stages are made."""
    ids = [item.work.video_id for item in batch.items if not item.work.whole]
    if not ids:
        return {}
    stages: set[str] = set()
    for work in (item.work for item in batch.items if not item.work.whole):
        stages |= made_from(work.stages) - (set(work.stages) if work.is_transcribed else set())
    return run.seen.read(lambda lake: load_current(lake, ids, stages))


def _whole(run: Pipeline, item: PreparedVideo, result: Result, old: KnownVideo | None) -> Result:
    """The result with its stages; of some stages only, beside what the lake has."""
    if item.making is None:
        return result
    seconds = {name: spent for name, spent in item.seconds.items() if name not in item.making.outcomes}
    result = replace(result, outcomes=item.making.outcomes, seconds=seconds)
    if old is None:
        return result
    heard = item.work.is_transcribed
    made = item.work.stages if heard else tuple(item.making.outcomes)
    return replace(
        result,
        recipes=beside(run.recipes, {name: one["recipe"] for name, one in old.runs.items()}, made),
        beside=old.beside(new_metadata=heard, new_transcript=heard),
    )


def discard(item: PreparedVideo) -> None:
    """Let go of what an item holds in memory and in scratch."""
    discard_sound(item)
    if item.pictures is not None:
        shutil.rmtree(item.pictures.folder, ignore_errors=True)
    if item.soundtrack is not None:
        Path(item.soundtrack.path).unlink(missing_ok=True)


def discard_sound(item: PreparedVideo) -> None:
    """Let go of its sound alone."""
    for hearing in item.hearings:
        hearing.futures = []
        Path(hearing.audio.path).unlink(missing_ok=True)


def _heard(run: Pipeline, item: PreparedVideo) -> tuple[Word, ...]:
    """The words of a video. Of rivals the better is kept; while there is no word, the next sound is heard."""
    words = [gather(hearing.futures) for hearing in item.hearings]
    first = item.hearings[0]
    while not any(words) and item.sources:
        discard_sound(item)
        read_next(run, item)
        transcribe(run, [item])
        words = [gather(hearing.futures) for hearing in item.hearings]
        if not any(words) and not item.sources:  # what the row names is what was chosen first
            discard_sound(item)
            item.hearings, words = [first], [()]
    worth = [sum(word.confidence**2 for word in said) for said in words]
    best = worth.index(max(worth))
    if len(words) > 1 and min(worth) > CLEARLY * max(worth):
        best = 0
        channels = ", ".join(str(hearing.audio.channels[0]) for hearing in item.hearings)
        item.notes["channels"] = (
            f"Channels {channels} are different programmes; the first was heard. Set audio_channels for another."
        )
    item.hearings.insert(0, item.hearings.pop(best))
    assert item.probe is not None
    item.probe = item.probe.seen_with(item.hearings[0].audio.track)
    return words[best]


def _timed(run: Pipeline, words: tuple[Word, ...], audio: Audio) -> tuple[Word, ...]:
    """The words with the times of the set's second model, where it has one."""
    if not words or run.timing is None:
        return words
    from tasks.speech.timing import finer

    with lane(run):
        return finer(words, audio, run.timing, reach_ms=NEAR_FRAMES * run.acoustic.frame_ms)


def _with_words(run: Pipeline, item: PreparedVideo, words: tuple[Word, ...], started: float) -> Result:
    hearing, probed = item.hearings[0], item.probe
    audio = hearing.audio
    assert probed is not None
    words = _timed(run, words, audio)
    length_ms = audio.end_ms
    if audio.clock != "jumps" and (probed.exact or (length_ms is None and probed.video_stream is not None)):
        length_ms = probed.duration_ms  # a picture may go on after the sound
    result = replace(
        run.result(item, "indexed" if words else "no_speech"),
        reason="truncated" if audio.incomplete else None,
        error=" ".join(dict.fromkeys(filter(None, (audio.incomplete, *item.notes.values())))) or None,
        duration_ms=max(audio.duration_ms, length_ms or 0),
        words=words,
        speech_ms=round(hearing.speech_frames * run.acoustic.frame_ms),
    )
    item.making = _making(item, result)
    item.making.there |= {"emissions", *(["words"] if words else [])}
    item.making.outcomes["emissions"] = Outcome(seconds=item.seconds.get("emissions", 0.0))
    item.making.outcomes["words"] = Outcome({"words": word_rows(words)}, time.monotonic() - started)
    return result


def _beside_words(run: Pipeline, item: PreparedVideo, known: Mapping[str, KnownVideo]) -> Result:
    """A video of which stages are made of the object, and its words stay."""
    old = known.get(item.work.video_id)
    if old is None:
        raise ObjectChanged("What the lake had of it has gone since the scan.")
    result = replace(
        run.result(item, old.video["status"]),
        metadata=old.metadata,
        duration_ms=old.video["duration_ms"],
        language=old.video["language"],
        spoken=(old.video["n_words"], old.video["confidence"]),
    )
    item.making = _making(item, result)
    item.making.tries = old.tries
    item.making.input = replace(item.making.input, words=old.words, rows=old.rows)
    return result


def _making(item: PreparedVideo, result: Result) -> Making:
    """The stages of an item, with what it has itself: its metadata, and what was decoded of it."""
    sound = item.hearings[0].audio if item.hearings else None
    frames = item.pictures.frames if item.pictures else ()
    kept = sound if STAGES.needing("sound", [name for name in item.work.stages if STAGES[name].load]) else None
    input = Input(
        video_id=result.work.video_id,
        duration_ms=result.duration_ms or 0,
        language=result.language,
        metadata=result.metadata,
        words=result.words,
        sound=kept,
        soundtrack=item.soundtrack,
        pictures=frames or None,
    )
    had = {"metadata": True, "sound": sound, "soundtrack": item.soundtrack, "pictures": frames}
    there = {name for name, one in had.items() if one}
    spent = {name: item.seconds.pop(name, 0.0) for name in APART}
    making = Making(input, item.work.stages, there, item.faults, spent=spent)
    for source in {*DECODED} - there - item.faults.keys():  # in which there is nothing to be found
        making.outcomes |= {name: Outcome() for name in item.work.stages if source in STAGES[name].needs}
    return making


def commit_batch(run: Pipeline, batch: Batch) -> list[Result]:
    """Write the batch's results; the last step."""
    return run.commit([item.result for item in batch.items if item.result is not None])
