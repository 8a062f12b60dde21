"""Where a query finds nothing: the same words written otherwise, if that finds something.

What a query finds is never changed, and nothing here is asked of an engine before it has found nothing. One search with all
that might be meant says whether there is anything at all; few more say which of it.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tasks.search.engine import Engine
from tasks.search.forms import Rewriting, rewritings
from tasks.search.query import MAX_PHRASES, MAX_WORDS, Query, Term, Variant
from tasks.text.folding import typed_parts

MOST_STEPS = 20_000  # in looking for the ways to say a phrase


@dataclass(frozen=True)
class Otherwise:
    """A query that finds what another does not: `text` is how one would type it, `why` what it is to the other."""

    query: Query
    text: str
    why: str


def written_otherwise(query: Query, engine: Engine) -> Otherwise | None:
    """The query written otherwise, for one that finds nothing; none where that finds nothing either.

    Raises:
        SearchUnavailable: see the engine.
    """
    return _Attempt(query, engine).best()


class _Attempt:
    """One query, and what an engine finds of its rewritings."""

    def __init__(self, query: Query, engine: Engine) -> None:
        self._query = query
        self._engine = engine
        self._words, _ = typed_parts(query.text)
        self._rewritings = rewritings(query, engine.said)
        if query.mode == "phrase" and self._rewritings:
            typed = {word for slot in query.slots for saying in slot.said for word in saying}
            self._known = engine.said(typed)

    def best(self) -> Otherwise | None:
        """The fewest and likeliest rewritings with which something is found."""
        chosen = self._each() if self._query.mode == "any" else self._fewest()
        chosen = [one for n, one in enumerate(chosen) if not any(one.overlaps(other) for other in chosen[:n])]
        if not chosen:
            return None
        typed: dict[int, Rewriting] = {one.start: self._likeliest(one, chosen) for one in chosen}
        query = self._asked(chosen, only=True)
        return Otherwise(query, self._text(typed), self._why(typed)) if query else None

    def _fewest(self) -> list[Rewriting]:
        chosen = self._rewritings
        if not self._finds(self._asked(chosen)):
            return []
        for one in reversed(chosen):
            fewer = [other for other in chosen if other is not one]
            if fewer and self._finds(self._asked(fewer)):
                chosen = fewer
        return chosen

    def _each(self) -> list[Rewriting]:
        """Where any word is enough: of every place the likeliest that is found."""
        chosen: list[Rewriting] = []
        for one in self._rewritings:
            alone = replace(self._query, slots=(Term(one.said),))
            if not any(one.overlaps(other) for other in chosen) and self._finds(alone):
                chosen.append(one)
        return chosen

    def _likeliest(self, one: Rewriting, chosen: Sequence[Rewriting]) -> Rewriting:
        """The first way of a rewriting that is found without its others; to be shown."""
        for way in one.ways[:-1]:
            alone = Rewriting(one.start, one.end, (way,))
            if self._finds(self._asked([alone if other is one else other for other in chosen], only=True)):
                return alone
        return Rewriting(one.start, one.end, one.ways[-1:])

    def _finds(self, query: Query | None) -> bool:
        return query is not None and self._engine.search(replace(query, limit=0, offset=0))["total_videos"] > 0

    # -- queries --------------------------------------------------------------------------------------------------------

    def _asked(self, chosen: Sequence[Rewriting], *, only: bool = False) -> Query | None:
        """The query in which rewritings count too, or `only` they where they are; none where nothing can be said for it."""
        if not chosen:
            return None
        if self._query.mode == "phrase":
            said = tuple(itertools.islice(self._phrases(chosen), MAX_PHRASES))
            return replace(self._query, slots=(Term(said),)) if said else None
        slots = tuple(self._only(chosen) if only else self._also(chosen))
        if sum(len(slot.said[0]) for slot in slots) > MAX_WORDS:  # more than can be typed
            return None
        return replace(self._query, slots=slots)

    def _also(self, chosen: Sequence[Rewriting]) -> Iterator[Term]:
        """Every slot, with the rewritings that begin in it or go on over it: one of several words counts for each of them."""
        at = 0
        for slot in self._query.slots:
            more = [saying for one in chosen if one.start <= at < one.end for saying in one.said]
            yield replace(slot, said=tuple(dict.fromkeys((*slot.said, *more))))
            at += len(slot.said[0])

    def _only(self, chosen: Sequence[Rewriting]) -> Iterator[Term]:
        at = 0
        for slot in self._query.slots:
            inside = [one for one in chosen if one.start <= at < one.end]
            if not inside:
                yield slot
            elif inside[0].start == at:
                yield Term(inside[0].said)
            at += len(slot.said[0])

    def _phrases(self, chosen: Sequence[Rewriting]) -> Iterator[Variant]:
        """Whole phrases, the likelier first: of every place what was typed, if the archive has its words, or a rewriting."""
        steps: dict[int, list[tuple[int, Variant]]] = {}
        at = 0
        for slot in self._query.slots:
            end = at + len(slot.said[0])
            steps.setdefault(at, []).extend((end, saying) for saying in slot.said if self._known.issuperset(saying))
            at = end
        for one in chosen:
            steps.setdefault(one.start, []).extend((one.end, saying) for saying in one.said)
        ready: list[tuple[int, int, int, Variant]] = [(0, 0, 0, ())]
        for number in range(1, MOST_STEPS):
            if not ready:
                return
            cost, begun, _, said = heapq.heappop(ready)
            if -begun == at:
                yield said
                continue
            for place, (end, more) in enumerate(steps.get(-begun, ())):
                if len(said) + len(more) <= MAX_WORDS:
                    heapq.heappush(ready, (cost + place, -end, number, (*said, *more)))

    # -- what is said of it ---------------------------------------------------------------------------------------------

    def _text(self, typed: dict[int, Rewriting]) -> str:
        words: list[str] = []
        at = 0
        while at < len(self._words):
            one = typed.get(at)
            words += one.ways[0].typed if one else self._words[at : at + 1]
            at = one.end if one else at + 1
        text = " ".join(words)
        return f'"{text}"' if self._query.mode == "phrase" else text

    def _why(self, typed: dict[int, Rewriting]) -> str:
        whys = {_kind(self._words[one.start : one.end], one.ways[0].typed) for one in typed.values()}
        return f"written {whys.pop()}" if len(whys) == 1 else "written otherwise"


def _kind(words: Sequence[str], typed: Sequence[str]) -> str:
    before, after = ("".join(c for word in side for c in word if c.isalnum()) for side in (words, typed))
    number = any(c.isdecimal() for c in before)
    if before == after and len(typed) != len(words):
        return "apart" if len(typed) > len(words) else "together"
    if before == after:
        return "apart" if number else "otherwise"  # "3,5kg" is two words as well
    spoken = number and not any(c.isdecimal() for c in after)
    return "out" if spoken or len(typed) > len(words) else "otherwise"
