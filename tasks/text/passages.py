"""Passages: stretches of speech that a search answers with, long enough to hold a thought and short enough to point at.

A passage has 15 to 30 s, cut at the longest pause in that range, and 48 words at most. The 31 words before it are carried
along, back to a silence of half a minute: a phrase of 32 words, the longest query, is whole in one passage wherever its
borders lie.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tasks.records import Word

MIN_MS, MAX_MS = 15_000, 30_000
OWN_WORDS = 48
CARRIED_WORDS = 31
PASSAGES = (MIN_MS, MAX_MS, OWN_WORDS, CARRIED_WORDS)  # in recipes: passages cut otherwise are others


class Passage(NamedTuple):
    """Positions of words: `carried` is the first that is carried along, `first` to `last` are its own."""

    carried: int
    first: int
    last: int


def cut_passages(words: Sequence[Word]) -> Iterator[Passage]:
    """The passages of a video in order; every word is one passage's own. A pause of `MAX_MS` always ends one."""
    first = 0
    while first < len(words):
        last = _last(words, first)
        yield Passage(_carried(words, first), first, last)
        first = last + 1


def _carried(words: Sequence[Word], first: int) -> int:
    """The first word that is carried into the passage that begins with `first`."""
    carried = first
    while carried and first - carried < CARRIED_WORDS and words[carried].start_ms - words[carried - 1].end_ms < MAX_MS:
        carried -= 1
    return carried


def _last(words: Sequence[Word], first: int) -> int:
    """The last word of the passage that begins with `first`."""
    begin = words[first].start_ms
    longest = first
    while longest + 1 < len(words) and longest + 1 - first < OWN_WORDS and words[longest + 1].end_ms - begin <= MAX_MS:
        longest += 1
    if longest + 1 == len(words):
        return longest
    # A passage that is full of words before its time is over is cut in its second half.
    earliest = next(
        (i for i in range(first, longest + 1) if words[i].end_ms - begin >= MIN_MS), (first + longest + 1) // 2
    )
    return max(range(earliest, longest + 1), key=lambda i: (words[i + 1].start_ms - words[i].end_ms, i))
