"""Moments: the passages that a search found, with what matched in them marked and timed. Both engines answer with these."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.search.query import Query, Term, Variant
from tasks.text.folding import words_of
from tasks.text.stemming import forgives, one_typo, stem, stem_language

BEFORE, AFTER = 8, 14  # words of a snippet around the first and after the last mark
LONGEST = 40  # words between its first mark and the last that it shows


@dataclass(frozen=True)
class PassageWords:
    """The words of a passage, the `carried` ones first; `folded` by `fold_word`, times in ms."""

    language: str | None
    said: Sequence[str]
    folded: Sequence[str]
    starts: Sequence[int]
    ends: Sequence[int]
    confidences: Sequence[float]
    carried: int


def written(language: str | None, before: str, text: str, start_ms: int, end_ms: int, score: float) -> PassageWords:
    """A text that is to be read from `start_ms` to `end_ms`: every word of it is there all the time."""
    said = [*before.split(), *text.split()]
    folded = [" ".join(words_of(word)) for word in said]
    each = len(said)
    times, confidences = ([start_ms] * each, [end_ms] * each), [round(score, 4)] * each
    return PassageWords(language, said, folded, *times, confidences, carried=len(before.split()))


def moment_of(query: Query, heard: PassageWords) -> dict[str, Any]:
    """What `search --json` prints of a moment beside its place (see the docs). `times` has the start of every mark."""
    runs = _runs(query, heard)
    if not runs:  # an engine that is of another mind than `matches`: show the passage, mark nothing
        runs = [(heard.carried, heard.carried)]
        marked: set[int] = set()
    else:
        marked = {n for first, last in runs for n in range(first, last + 1)}
    first, last = min(run[0] for run in runs), max(run[1] for run in runs)
    begin = max(0, first - BEFORE)
    end = min(len(heard.said), min(last, first + LONGEST) + AFTER + 1)
    snippet, marks = snippet_of(heard.said[begin:end], begin, marked)
    counted = sorted(marked) or [first]
    return {
        "start_ms": heard.starts[first],
        "end_ms": max(heard.ends[n] for n in counted),
        "times": sorted({heard.starts[run[0]] for run in runs}),
        "snippet": snippet,
        "marks": marks,
        "confidence": round(sum(heard.confidences[n] for n in counted) / len(counted), 4),
    }


def in_time(moments: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The moments of a video in their order: they were chosen by where their texts begin."""
    return sorted(moments, key=lambda moment: (moment["start_ms"], moment["place"] == "speech"))


def _runs(query: Query, heard: PassageWords) -> list[tuple[int, int]]:
    """First and last position of everything that matched, in order.

    What ends in the carried words belongs to the passage before, unless only there a word of the query is said.
    """
    parts = [(part, n) for n, folded in enumerate(heard.folded) for part in folded.split()]
    terms, position = [part for part, _ in parts], [n for _, n in parts]

    def own(found: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        return [run for run in found if position[run[1]] >= heard.carried]

    runs: list[tuple[int, int]] = []
    if query.mode == "phrase":
        for saying in query.phrases:
            runs += own(_sayings(saying, terms))
    else:
        language = stem_language(heard.language)
        for slot in query.slots:
            found = list(_of_slot(query, slot, terms, language))
            runs += own(found) or (found[-1:] if query.mode == "words" else [])
    return sorted({(position[first], position[last]) for first, last in runs})


def _of_slot(query: Query, slot: Term, terms: Sequence[str], language: str | None) -> Iterator[tuple[int, int]]:
    alone = {saying[0] for saying in slot.said if len(saying) == 1}
    for n, word in enumerate(terms):
        if word in alone or _alike(query, slot, word, language):
            yield n, n
    for saying in slot.said:
        if len(saying) > 1:
            yield from _sayings(saying, terms)


def _alike(query: Query, slot: Term, word: str, language: str | None) -> bool:
    """Whether a word matches a slot by its beginning, its stem, or but for one typo."""
    if slot.prefix:
        return word.startswith(slot.said[0][0])
    typed = slot.word
    if typed is None:
        return False
    if query.stems and language and stem(word, language) == stem(typed, language):
        return True
    return query.typos and forgives(typed) and one_typo(typed, word)


def _sayings(saying: Variant, terms: Sequence[str]) -> Iterator[tuple[int, int]]:
    length = len(saying)
    for first in range(len(terms) - length + 1):
        if terms[first] == saying[0] and tuple(terms[first : first + length]) == saying:
            yield first, first + length - 1


def snippet_of(said: Sequence[str], first: int, marked: set[int]) -> tuple[str, list[list[int]]]:
    """Words joined by spaces, and the character ranges of the marked ones (neighbours merged)."""
    marks: list[list[int]] = []
    text = ""
    for number, word in enumerate(said, first):
        start = len(text) + (1 if text else 0)
        text += (" " if text else "") + word
        if number in marked:
            if marks and marks[-1][1] == start - 1 and number - 1 in marked:
                marks[-1][1] = len(text)
            else:
                marks.append([start, len(text)])
    return text, marks
