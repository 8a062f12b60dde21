"""Word times finer than the frames of the model that heard the words, from a second model with shorter frames.

The words are placed in the emissions of the second model by forced alignment, each near where the first one has it. What the second
model would write does not matter; only where it hears the letters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from tasks.arrays import Array
from tasks.records import Audio, Word
from tasks.speech.acoustic import SAMPLE_RATE, AcousticModel
from tasks.speech.align import best_path
from tasks.speech.labels import as_written
from tasks.speech.spelling import Spelling, spell

PAUSE_MS = 700  # between words that are looked at apart
MARGIN_MS = 500  # of sound around them


def finer(words: Sequence[Word], audio: Audio, model: AcousticModel, *, reach_ms: float) -> tuple[Word, ...]:
    """The words with times by `model`, each within `reach_ms` of those that it has. A word that cannot be placed keeps its own."""
    longest_ms = 1000 * (model.geometry.window * model.geometry.stride) / SAMPLE_RATE - 2 * (MARGIN_MS + reach_ms)
    out: list[Word] = []
    for group in _groups(words, longest_ms):
        out += _placed(group, audio, model, reach_ms)
    return tuple(_in_order(out))


def _groups(words: Sequence[Word], longest_ms: float) -> Iterator[list[Word]]:
    """Words without a pause between them, as many as fit into a window."""
    group: list[Word] = []
    for word in words:
        if group and (word.start_ms - group[-1].end_ms > PAUSE_MS or word.end_ms - group[0].start_ms > longest_ms):
            yield group
            group = []
        group.append(word)
    if group:
        yield group


def _placed(words: list[Word], audio: Audio, model: AcousticModel, reach_ms: float) -> list[Word]:
    frames_in_file = model.geometry.frames(audio.samples)
    first = max(0, round((words[0].start_ms - reach_ms - MARGIN_MS) / model.frame_ms))
    last = min(frames_in_file, round((words[-1].end_ms + reach_ms + MARGIN_MS) / model.frame_ms) + 1)
    if last <= first:
        return words
    given = model.inputs.window(audio, first * model.geometry.stride, model.geometry.samples(last - first))
    log_probs = model.alone(given)
    written = as_written(model.labels)
    spelling = spell([written(word.word) for word in words], model.labels)
    if not len(spelling.tokens):
        return words
    near = _near(words, spelling, first, len(log_probs), model.frame_ms, reach_ms)
    path = best_path(log_probs, spelling, model.blank, near=near)
    if path is None:
        return words
    owners = np.where(path >= 0, spelling.owners[path], -1)
    out = []
    for number, word in enumerate(words):
        frames = np.flatnonzero(owners == number)
        if len(frames):
            start, end = first + int(frames[0]), first + int(frames[-1]) + 1
            word = replace(word, start_ms=round(start * model.frame_ms), end_ms=round(end * model.frame_ms))
        out.append(word)
    return out


def _near(
    words: Sequence[Word], spelling: Spelling, first: int, frames: int, frame_ms: float, reach_ms: float
) -> Array:
    """Which frames each piece may be said in, bool of shape (frames, pieces); a border between words anywhere."""
    at = (first + np.arange(frames) + 0.5) * frame_ms
    starts, ends = (np.array([getattr(word, side) for word in words], float) for side in ("start_ms", "end_ms"))
    owners = spelling.owners
    inside = (at[:, None] >= starts[owners] - reach_ms) & (at[:, None] <= ends[owners] + reach_ms)
    return inside | (owners < 0)


def _in_order(words: list[Word]) -> Iterator[Word]:
    """No word begins before the one before it, or ends before it begins."""
    before = 0
    for word in words:
        start = max(word.start_ms, before)
        yield replace(word, start_ms=start, end_ms=max(word.end_ms, start))
        before = start
