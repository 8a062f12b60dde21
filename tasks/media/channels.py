"""Which channels of a track are the speech.

A recording with two microphones is mixed, so is a talk of two people with a channel each. What is no part of the programme,
a time code or another language, is left out; and what cancels out when it is mixed is not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tasks.arrays import Array
from tasks.media.listening import likeness, loudness
from tasks.records import SILENCE, AudioTrack, Choice, Source

SPEECH = 0.1  # of `likeness`: less than this, or than a third of the best channel, is no speech
SAME_COURSE = (
    0.4  # correlation of the loudness of two channels: microphones in one room have more, other programmes less
)
LEAST_SUM = (
    0.35  # power of a mix, of that of its channels: 1 when they are equal, 0.5 when they know nothing of each other
)
BOTH_LOUD = 0.2  # of the loud moments of the rarer voice: people who talk with each other have less
LOUD = 0.25  # of the level of loud moments
STEADY = 0.01  # deviation of a course: that of a tone says nothing
MOST_SOURCES = 4


@dataclass(frozen=True)
class _Heard:
    """Excerpts of a track's channels: `likeness` and `courses` (loudness over time, log) of each."""

    pieces: Sequence[Array]
    likeness: list[float]
    courses: list[Array]


def choose_channels(track: AudioTrack, pieces: Sequence[Array]) -> tuple[Choice, float]:
    """What to hear of a track after a listen to all its channels, and how much that is like speech.

    Args:
        pieces: int16 of shape (samples, channels), from several places of the track.
    """
    everything = Source(track, tuple(range(max(1, track.channels))))
    heard = _heard(pieces, len(everything.channels))
    if track.channels < 2:
        return Choice((everything,)), heard.likeness[0]
    order = sorted(everything.channels, key=lambda c: (-heard.likeness[c], c))
    best = order[0]
    least = max(SPEECH, heard.likeness[best] / 3)
    voices = [c for c in order if heard.likeness[c] >= least]
    if not voices:  # what there is, lies where nobody listened, or is no speech
        audible = [c for c in order if any(len(p) and np.abs(p[:, c]).max() > SILENCE for p in pieces)] or [0]
        return _choice(everything, *(Source(track, (c,)) for c in audible)), heard.likeness[best]
    first = _group(heard, best, everything.channels)
    apart = [c for c in voices if c not in first and not _same_course(heard, best, c)]
    talk = [c for c in apart if _both_loud(heard, best, c) < BOTH_LOUD]
    if talk:
        return _choice(Source(track, tuple(sorted({*first, *talk}))), everything), heard.likeness[best]
    groups = [first]
    for c in apart:
        if not any(c in group for group in groups):
            groups.append(_group(heard, c, everything.channels))
    rivals = sorted(groups[:2])  # of two that are alike the first channel comes first
    sources = [Source(track, group) for group in (*rivals, *groups[2:])]
    return _choice(*sources, everything, rivals=len(rivals)), heard.likeness[best]


def _choice(*sources: Source, rivals: int = 1) -> Choice:
    return Choice(tuple(dict.fromkeys(sources))[:MOST_SOURCES], rivals)


def _heard(pieces: Sequence[Array], channels: int) -> _Heard:
    columns = [[piece[:, c] for piece in pieces] for c in range(channels)]
    courses = [
        np.log(np.concatenate([np.zeros(0, np.float32), *(loudness(piece) for piece in column)]) + 1.0)
        for column in columns
    ]
    return _Heard(pieces, [likeness(column) for column in columns], courses)


def _group(heard: _Heard, best: int, channels: Sequence[int]) -> tuple[int, ...]:
    """The channels with the programme of `best`, if they sound better together than that one alone."""
    same = tuple(c for c in channels if c == best or _same_course(heard, best, c))
    return same if len(same) > 1 and _adds_up(heard, same) else (best,)


def _same_course(heard: _Heard, a: int, b: int) -> bool:
    x, y = heard.courses[a], heard.courses[b]
    if min(x.std(), y.std()) < STEADY:
        return False
    return float(np.corrcoef(x, y)[0, 1]) >= SAME_COURSE


def _adds_up(heard: _Heard, channels: tuple[int, ...]) -> bool:
    """Whether a mix keeps what its channels have, in the low tones of a voice and in the high ones."""
    chosen = list(channels)
    for change in (lambda x: x, lambda x: np.diff(x, axis=0)):
        alone = together = 0.0
        for piece in heard.pieces:
            sound = change(piece[:, chosen].astype(np.float32))
            alone += float((sound**2).mean(axis=1).sum())
            together += float((sound.mean(axis=1) ** 2).sum())
        if together < LEAST_SUM * alone:
            return False
    return True


def _both_loud(heard: _Heard, a: int, b: int) -> float:
    """The share of the loud moments of the rarer of two voices in which the other is loud too."""
    loud = []
    for course in (heard.courses[a], heard.courses[b]):
        level = np.exp(course)
        audible = level[level > level.max() / 56]
        loud.append(level > LOUD * np.percentile(audible, 90))
    both, rarer = loud[0] & loud[1], min(int(loud[0].sum()), int(loud[1].sum()))
    return float(both.sum()) / max(1, rarer)
