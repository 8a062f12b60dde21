"""Passages: stretches of speech that a search answers with, long enough to hold a thought and short enough to point at.

A passage has 15 to 30 s, cut at the longest pause in that range, and 48 words of its own at most. With the 12 words before it,
which it carries along, words and phrases that lie across a border are found too.
"""

from __future__ import annotations

from collections.abc import Sequence

from tasks.records import Word

MIN_MS, MAX_MS = 15_000, 30_000
OWN_WORDS = 48
CARRIED_WORDS = 12


def cut_passages(words: Sequence[Word]) -> list[int]:
    """The number of each word's passage, from 0 on; a pause of `MAX_MS` always ends one."""
    numbers: list[int] = []
    first = 0
    while first < len(words):
        last = _last(words, first)
        numbers += [numbers[-1] + 1 if numbers else 0] * (last - first + 1)
        first = last + 1
    return numbers


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
