"""A search from typed text to answer: which engine is asked, what happens when it cannot answer, what to try instead."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tasks.errors import SearchUnavailable
from tasks.lake.store import Lake
from tasks.search.engine import Engine, EngineName
from tasks.search.otherwise import written_otherwise
from tasks.search.query import Query, Term, make_query, synonyms_of
from tasks.settings import Settings
from tasks.text.stemming import forgives

if TYPE_CHECKING:
    import duckdb

    from tasks.search.elastic.ask import Searcher

MOST_SUGGESTIONS = 3
LONGEST_TO_CORRECT = 6  # words of a query of which one may be left out or mended


def answer(
    settings: Settings,
    lake: Lake,
    text: str,
    *,
    engine: EngineName = "auto",
    phrase: bool = False,
    any_word: bool = False,
    connection: duckdb.DuckDBPyConnection | None = None,
    **options: Any,
) -> dict[str, Any]:
    """What `search --json` prints. Where Elasticsearch is set and cannot answer, the lake does, and the answer says why.

    Where a query finds nothing, and does when it is written otherwise (`tasks/search/otherwise.py`), that is answered instead,
    and `instead` says so.

    The lake is asked as `connection` sees it, else as it is at this moment.

    Raises:
        BadQuery: see `make_query`. SearchUnavailable: `engine` is "elasticsearch", and it does not answer.
        Misconfigured: a setting is wrong, or there is no lake.
    """
    synonyms = synonyms_of(settings)

    def ask(engine: Engine) -> dict[str, Any]:
        languages = (options["language"],) if options.get("language") else engine.languages or ("en",)
        query = make_query(
            text, phrase=phrase, any_word=any_word, languages=languages, synonyms=synonyms,
            screen_weight=settings.screen_weight, **options,
        )  # fmt: skip
        found = engine.search(query)
        if found["total_videos"] or query.status != "indexed":
            return {**found, "instead": None, "suggestions": []}
        other = written_otherwise(query, engine)
        instead = engine.search(other.query) if other else found
        if other is None or not instead["total_videos"]:
            return {**found, "instead": None, "suggestions": suggestions(query, engine)}
        said = {"text": other.text, "why": other.why, "total_videos": instead["total_videos"]}
        return {**instead, "instead": said, "suggestions": [said]}

    reason = None
    if engine != "duckdb" and (settings.elasticsearch_url or engine == "elasticsearch"):
        try:
            with elastic(settings, lake) as searcher:
                return ask(searcher)
        except SearchUnavailable as error:
            if engine == "elasticsearch":
                raise
            reason = str(error)
    return {**ask(duck(lake, connection)), "fallback_reason": reason}


@contextlib.contextmanager
def elastic(settings: Settings, lake: Lake) -> Iterator[Searcher]:
    """Elasticsearch, as the settings name it, with the index of this lake.

    Raises:
        SearchUnavailable. Misconfigured.
    """
    from tasks.search.elastic.ask import Searcher
    from tasks.search.elastic.connection import Connection
    from tasks.search.elastic.mapping import Names

    lake_id = str(lake.table("videos").metadata().id)
    with Searcher(Connection.of(settings), Names(settings.elasticsearch_prefix).read, lake_id) as searcher:
        yield searcher


def duck(lake: Lake, connection: duckdb.DuckDBPyConnection | None = None) -> Engine:
    """The lake as a connection sees it, else at this moment."""
    from tasks.lake.views import Snapshot, connect
    from tasks.search.duck import TABLES, LakeSearcher

    return LakeSearcher(connection or connect(lake, Snapshot.of(lake, TABLES), lean=True, history=False))


def suggestions(query: Query, engine: Engine) -> list[dict[str, Any]]:
    """What finds something where a query finds nothing, however it is written: a word as the archive has it, no phrase, fewer
    words, no filters.

    Each is a `text` to type, `why` it is another, and the number of videos it finds.
    """

    def found(other: Query) -> int:
        return int(engine.search(replace(other, limit=0, offset=0))["total_videos"])

    tried: list[tuple[str, Query, str]] = []
    short = len(query.slots) <= LONGEST_TO_CORRECT
    corrected = [_corrected(slot, query, engine) if short else slot for slot in query.slots]
    if corrected != list(query.slots):
        mended = replace(query, slots=tuple(corrected))
        tried.append(("typo", mended, _typed(mended)))
    if query.mode == "phrase" and len(query.slots) > 1:
        loose = replace(query, mode="words")
        tried.append(("not as a phrase", loose, _typed(loose)))
    bare = _bare(query)
    if replace(query, limit=bare.limit, offset=bare.offset, moments=bare.moments, spread=bare.spread) != bare:
        other = None if found(bare) else written_otherwise(bare, engine)
        tried.append(("without filters", *((other.query, other.text) if other else (bare, _typed(bare)))))
    if query.mode != "any" and short and len(query.slots) > 1:
        for left_out in range(len(query.slots)):
            fewer = replace(query, slots=tuple(slot for n, slot in enumerate(corrected) if n != left_out))
            tried.append(("fewer words", fewer, _typed(fewer)))
    made = [{"text": text, "why": why, "total_videos": found(one)} for why, one, text in tried]
    return [one for one in made if one["total_videos"]][:MOST_SUGGESTIONS]


def _bare(query: Query) -> Query:
    """A query without filters."""
    kept = ("stems", "typos", "languages", "places", "screen_weight")
    return Query(query.text, query.slots, query.mode, **{name: getattr(query, name) for name in kept})


def _corrected(slot: Term, query: Query, engine: Engine) -> Term:
    """The slot, or where its word was never said, that word written otherwise, or the most frequent one that a typo leads to
    it from."""
    word = slot.said[0][0]
    letters = not any(c.isdecimal() for c in word)
    if slot.prefix or len(slot.said[0]) > 1 or word.isdecimal() or (letters and not forgives(word)):
        return slot
    alone = replace(_bare(query), text=word, slots=(slot,), mode="words", limit=0)
    if engine.search(alone)["total_videos"]:
        return slot
    if other := written_otherwise(alone, engine):
        return other.query.slots[0]
    others = (near for near in engine.near(word) if letters and near != word)
    return next((Term(((word,),)) for word in others), slot)


def _typed(query: Query) -> str:
    text = " ".join(" ".join(slot.said[0]) + "*" * slot.prefix for slot in query.slots)
    return f'"{text}"' if query.mode == "phrase" else text
