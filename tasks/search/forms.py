"""Other ways to write a query: its words apart ("public house"), together ("whiteboard"), or written out ("16 feet").

`rewritings` are those of which the archive has every word, so that a search need not look for the many that it has not.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass

from tasks.search.query import MAX_WORDS, Query, Variant, number_sayings
from tasks.search.units import Way, numbered
from tasks.text.folding import typed_parts
from tasks.text.stemming import stem, stem_language

LONGEST = 60  # letters of a word that is taken apart or put together
MOST_PARTS = 4  # of a word that is taken apart
MOST_SPLITS = 4  # ways to take a word apart
MOST_JOINED = 5  # words that are put together
MOST_REWRITINGS = 12  # of a query
MOST_TERMS = 5000  # that an engine is asked for
MOST_SAYINGS = 40  # of one rewriting
_JOINERS = re.compile("['\u200c\u200d]")
_ENDINGS = (("", "s"), ("", "es"), ("y", "ies"), ("", "e"), ("", "n"), ("", "en"), ("", "er"), ("", "x"))


@dataclass(frozen=True)
class Rewriting:
    """Words `start` to `end` (exclusive) of a query, and ways to write them that mean the same."""

    start: int
    end: int
    ways: tuple[Way, ...]

    @property
    def said(self) -> tuple[Variant, ...]:
        """All that is said for it."""
        return tuple(dict.fromkeys(itertools.chain(*(way.said for way in self.ways))))

    def overlaps(self, other: Rewriting) -> bool:
        """Whether they have a word of the query in common."""
        return self.start < other.end and other.start < self.end


def rewritings(query: Query, said: Callable[[Collection[str]], set[str]]) -> list[Rewriting]:
    """The likelier ones of every word first. `said` tells which words the archive has."""
    words, gaps = typed_parts(query.text)
    if [word.removesuffix("*") for word in words] != list(query.typed):
        return []  # slots that were made of something else
    alike = _Alike(query)
    found = [Rewriting(one.start, one.end, one.ways) for one in numbered(words, gaps, query.languages)]
    found += _joined(words, query, alike)
    terms = {word: None for one in found for saying in one.said for word in saying}
    for word in words:
        more = _pieces(word, alike) if _splits(word) else ()
        terms |= dict.fromkeys(more if len(terms) + len(more) <= MOST_TERMS else ())
    known = said([term for term in terms if len(term) <= LONGEST])
    found += [one for at, word in enumerate(words) if _splits(word) for one in _apart(at, word, known, alike)]
    borders = {0, *itertools.accumulate(len(slot.said[0]) for slot in query.slots)}
    possible = [_of(one, known, words) for one in found if {one.start, one.end} <= borders]
    return _fairly([one for one in possible if one is not None])


def _of(one: Rewriting, known: set[str], words: Sequence[str]) -> Rewriting | None:
    """What is left of a rewriting when only words of the archive count; none where that is the query itself."""
    own = tuple(words[one.start : one.end])
    ways: list[Way] = []
    room = MOST_SAYINGS
    for way in one.ways:
        said = tuple(saying for saying in way.said if known.issuperset(saying) and len(saying) <= MAX_WORDS)
        if said and room and way.typed != own:
            ways.append(Way(way.typed, said[:room]))
            room -= len(said[:room])
    return Rewriting(one.start, one.end, tuple(ways)) if ways else None


def _fairly(found: Sequence[Rewriting]) -> list[Rewriting]:
    """At most so many: the first of every place, then the second of every place, and so on; no two alike."""
    places: dict[tuple[int, int], list[Rewriting]] = {}
    for one in found:
        there = places.setdefault((one.start, one.end), [])
        if not any(set(one.said) <= set(other.said) for other in there):
            there.append(one)
    turns = itertools.zip_longest(*places.values())
    return [one for turn in turns for one in turn if one is not None][:MOST_REWRITINGS]


class _Alike:
    """Other forms of a word by its stem, such as its plural, where a query takes them."""

    def __init__(self, query: Query) -> None:
        taken = query.stems and query.mode != "phrase"
        codes = {stem_language(language) for language in query.languages} if taken else set()
        self._codes = sorted(code for code in codes if code)

    def __call__(self, word: str) -> list[str]:
        """The word, and what has its stem and an ending more, less or other."""
        made = [word]
        for short, long in _ENDINGS if self._codes else ():
            if word.endswith(short):
                made.append(word[: len(word) - len(short)] + long)
            if word.endswith(long):
                made.append(word[: -len(long)] + short)
        alike = (one for one in made if any(stem(one, code) == stem(word, code) for code in self._codes))
        return list(dict.fromkeys([word, *alike]))


# -- words put together -------------------------------------------------------------------------------------------------


def _joined(words: Sequence[str], query: Query, alike: _Alike) -> Iterator[Rewriting]:
    for start in range(len(words)):
        for end in range(start + 2, min(len(words), start + MOST_JOINED) + 1):
            parts = words[start:end]
            if any(part.endswith("*") for part in parts) or sum(map(len, parts)) > LONGEST:
                break
            together = "".join(parts)
            if together.isdecimal():
                yield Rewriting(start, end, (Way((together,), number_sayings(together, query.languages)),))
                continue
            yield Rewriting(start, end, (Way((together,), tuple((one,) for one in alike(together))),))
            for joiner in _joiners(together) if len(parts) == 2 else ():
                yield Rewriting(start, end, (Way((joiner.join(parts),), ((joiner.join(parts),),)),))


def _joiners(word: str) -> str:
    """What may stand within a word: an apostrophe, and in scripts that have it the joiner that parts nothing."""
    return "'" if word.isascii() or max(word) < "\u0590" else "'\u200c"


# -- words taken apart --------------------------------------------------------------------------------------------------


def _splits(word: str) -> bool:
    return 2 <= len(word) <= LONGEST and not word.endswith("*") and not any(c.isdecimal() for c in word)


def _pieces(word: str, alike: _Alike) -> set[str]:
    """Every word that may be a part of it, and what it is with a joiner more or less."""
    pieces = {word[a:b] for a in range(len(word)) for b in range(a + 1, len(word) + 1)} - {word}
    pieces |= {one for at in range(1, len(word)) for one in alike(word[at:])}
    bare = _JOINERS.sub("", word)
    pieces |= {bare[:at] + joiner + bare[at:] for at in range(1, len(bare)) for joiner in _joiners(bare)}
    return pieces | {bare}


def _apart(at: int, word: str, known: set[str], alike: _Alike) -> Iterator[Rewriting]:
    """A word with a joiner more or less, and in parts: few and long ones first, single letters last."""
    bare = _JOINERS.sub("", word)
    others = [bare, *(bare[:n] + joiner + bare[n:] for n in range(1, len(bare)) for joiner in _joiners(bare))]
    for other in others:
        if other != word and other in known:
            yield Rewriting(at, at + 1, (Way((other,), ((other,),)),))
    if bare != word:
        parts = tuple(part for part in _JOINERS.split(word) if part)
        yield Rewriting(at, at + 1, (Way(parts, (parts,)),))
    lasts = {word[n:]: [one for one in alike(word[n:]) if one in known] for n in range(1, len(word))}
    found = sorted(
        _cut(word, known, lasts), key=lambda parts: (len(parts), sum(len(p) == 1 for p in parts), -min(map(len, parts)))
    )
    spelt = tuple(word)
    for parts in [*found[:MOST_SPLITS], *([spelt] if spelt not in found and len(word) <= MOST_PARTS + 2 else [])]:
        said = [(*parts[:-1], last) for last in lasts.get(parts[-1], [parts[-1]])]
        yield Rewriting(at, at + 1, (Way(parts, tuple(said)),))


def _cut(word: str, known: set[str], lasts: dict[str, list[str]]) -> list[Variant]:
    """A word in parts that the archive has, at most one of them a single letter."""
    ends = len(word)

    def cut(at: int, room: int, letter: bool) -> Iterator[Variant]:
        if at and lasts[word[at:]] and not (letter and ends - at == 1):
            yield (word[at:],)
        for end in range(at + 1, ends if room > 1 else 0):
            if word[at:end] in known and not (letter and end - at == 1):
                for rest in cut(end, room - 1, letter or end - at == 1):
                    yield (word[at:end], *rest)

    return list(itertools.islice(cut(0, MOST_PARTS, False), 2000))
