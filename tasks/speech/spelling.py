"""The ways to write a text with the tokens of a model, as a graph from its beginning to its end."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from tasks.arrays import Array
from tasks.speech.labels import ALONE, BORDER, are_subwords, as_written, writes_text

BETWEEN = -1  # the owner of a border between two words
Piece = tuple[int, int, int]  # a token, and the places where it starts and ends


@dataclass(frozen=True)
class Spelling:
    """Pieces of a text: the token of each, the word that owns it, and the places in the text between which it stands.

    All arrays have a row for each piece. Place 0 is the beginning, `places - 1` the end; every piece is on a way between them.
    """

    tokens: Array
    owners: Array
    starts: Array
    ends: Array
    places: int

    @property
    def is_chain(self) -> bool:
        """Whether there is one way only, the pieces in their order."""
        return len(self.tokens) == self.places - 1


def spell(words: Sequence[str], labels: tuple[str, ...]) -> Spelling:
    """Every way to write these words. Characters that no token has are left out."""
    alphabet = _alphabet(labels)
    rows: list[tuple[int, int, int, int]] = []
    end = 0
    for number, word in enumerate(words):
        ways = alphabet.ways(word, first=not rows)
        if not ways:
            continue
        if rows and alphabet.border is not None:
            rows.append((alphabet.border, BETWEEN, end, end + 1))
            end += 1
        rows += [(token, number, end + start, end + stop) for token, start, stop in ways]
        end = rows[-1][3]
    tokens, owners, starts, ends = np.array(rows, np.int64).reshape(-1, 4).T
    return Spelling(tokens, owners, starts, ends, end + 1)


def writable_share(words: Sequence[str], labels: tuple[str, ...], *, most: int = 5000) -> float:
    """Which share of these words (of every so many of them, `most` in all) the tokens can write, in their own case."""
    alphabet, written = _alphabet(labels), as_written(labels)
    asked = [written(word) for word in words[:: max(1, len(words) // most)]]
    able = sum(set(word) <= alphabet.letters and bool(alphabet.ways(word, first=False)) for word in asked)
    return able / max(1, len(asked))


@dataclass(frozen=True)
class _Alphabet:
    ids: dict[str, int]
    letters: frozenset[str]
    longest: int
    subwords: bool
    border: int | None

    def ways(self, word: str, *, first: bool) -> list[Piece]:
        """The pieces of a word in the order of their ends; the last one ends where the word does."""
        text = "".join(char for char in word if char in self.letters)
        if not text:
            return []
        if self.subwords:
            text = BORDER + text
        pieces = [
            (token, start, stop)
            for stop in range(1, len(text) + 1)
            for start in range(max(0, stop - self.longest), stop)
            if (token := self.ids.get(text[start:stop])) is not None
        ]
        if self.subwords and first:  # what is said first may lack the border
            pieces += [(token, 0, stop) for token, start, stop in pieces if start == 1]
            pieces.sort(key=lambda piece: piece[2])
        return _numbered(_on_a_way(pieces, len(text)))


@lru_cache(maxsize=16)
def _alphabet(labels: tuple[str, ...]) -> _Alphabet:
    ids = {BORDER if label == ALONE else label: i for i, label in enumerate(labels) if writes_text(label)}
    subwords = are_subwords(labels)
    longest = max(map(len, ids), default=1)
    return _Alphabet(ids, frozenset("".join(ids)), longest, subwords, None if subwords else ids.get(" "))


def _on_a_way(pieces: list[Piece], length: int) -> list[Piece]:
    """Those that lead from the beginning to the end."""
    reached, leading = {0}, {length}
    for _, start, stop in pieces:  # in the order of their ends
        if start in reached:
            reached.add(stop)
    for _, start, stop in sorted(pieces, key=lambda piece: -piece[1]):
        if stop in leading:
            leading.add(start)
    return [piece for piece in pieces if piece[1] in reached and piece[2] in leading]


def _numbered(pieces: list[Piece]) -> list[Piece]:
    """With the places that are left numbered from 0 on."""
    places = sorted({place for _, start, stop in pieces for place in (start, stop)})
    number = {place: i for i, place in enumerate(places)}
    return [(token, number[start], number[stop]) for token, start, stop in pieces]
