"""Sound events: which of some labels fits what is to be heard, from when to when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tasks.arrays import Array

Span = tuple[int, int]


@dataclass(frozen=True)
class SoundEvent:
    """A label that is the likeliest from `start_ms` to `end_ms`; `score` is the greatest share of it, 0 to 1."""

    label: str
    start_ms: int
    end_ms: int
    score: float


def shares(sounds: Array, labels: Array, scale: float) -> Array:
    """How likely each label is of each sound, if it is one of them: a softmax over cosines times the scale that the model learnt.
    Vectors of unit length, (sounds, size) and (labels, size), to (sounds, labels)."""
    logits = scale * (sounds @ labels.T)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    likely: Array = powers / powers.sum(axis=1, keepdims=True)
    return likely


def spoken_for(spans: Sequence[Span]) -> list[Span]:
    """The time that each of some overlapping pieces speaks for: where two of them overlap, each has the half that is nearer to
    its middle."""
    borders = [(end + start) // 2 if start < end else None for (_, end), (start, _) in pairwise(spans)]
    return [
        (start if begin is None else begin, end if stop is None else stop)
        for (start, end), begin, stop in zip(spans, [None, *borders], [*borders, None], strict=False)
    ]


def events(spans: Sequence[Span], likely: Array, labels: Sequence[str], *, least: float) -> list[SoundEvent]:
    """Pieces in a row of which a label is the likeliest, and at least so likely, as one event each.

    Args:
        spans: start and end of each piece in ms, in order; shape of `likely`: (pieces, labels).
    """
    found: list[SoundEvent] = []
    for (start, end), row in zip(spoken_for(spans), likely, strict=True):
        best = int(row.argmax())
        score = float(row[best])
        if score < least or end <= start:
            continue
        last = found[-1] if found else None
        if last and last.label == labels[best] and last.end_ms == start:
            found[-1] = SoundEvent(last.label, last.start_ms, end, max(last.score, score))
        else:
            found.append(SoundEvent(labels[best], start, end, score))
    return found
