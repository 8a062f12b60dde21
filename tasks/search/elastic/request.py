"""A query as Elasticsearch is asked it.

A phrase that crosses the border of a passage is looked for in two parts, one at the end of the carried words and one at the
beginning of the passage, where a border stands as a word: so it is found once, in the passage where it ends. Texts on the screen are
passages too, with what stands beside them carried; titles are in the videos' own documents.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tasks.search.elastic.mapping import BORDER
from tasks.search.filters import Filters
from tasks.search.places import FOUND
from tasks.search.query import Query, Term, Variant
from tasks.text.stemming import forgives, language_code, stem, stem_language

Clause = dict[str, Any]
EACH_WORD = 1000.0  # above every sum of scores by how rare and frequent words are


@dataclass(frozen=True)
class _Fields:
    """Where the words of a place are, with their stems; a title carries nothing."""

    text: str = "text"
    stems: str = "stems"
    carried: str | None = "carried"
    carried_stems: str = "carried_stems"


_PASSAGE, _TITLE = _Fields(), _Fields("title", "title_stems", None)


def request_of(query: Query, languages: tuple[str, ...]) -> dict[str, Any]:
    """The body of a search: passages that match, collapsed by video, counted exactly."""
    title = {"match": {"title": {"query": " ".join(dict.fromkeys(query.typed)), "operator": "and"}}}
    return {
        "query": {
            "bool": {
                "must": [_any([*_passages(query, languages), *_titles(query, languages)])],
                "filter": [{"terms": {"status": list(FOUND)}}, *filters_of(query, query.video)],
                "should": [{"constant_score": {"filter": title, "boost": 3}}],
            }
        },
        "collapse": {
            "field": "video_id",
            "inner_hits": {
                "name": "moments",
                "size": query.moments,
                "sort": [{"start_ms": "asc"}, {"place": "asc"}, {"part_no": "asc"}],
                "_source": ["heard", "place", "video.title", "video.language"],
            },
        },
        "sort": ["_score", {"published_at": {"order": "desc", "missing": "_last"}}, {"video_id": "asc"}],
        "track_scores": True,
        "track_total_hits": True,
        "aggs": {"videos": {"cardinality": {"field": "video_id", "precision_threshold": 40_000}}},
        "from": query.offset,
        "size": query.limit + 1,  # one more says whether there is another page: the number of videos may be an estimate
        "_source": ["video_id"],
    }


def _passages(query: Query, languages: tuple[str, ...]) -> list[Clause]:
    """What is said and what stands on the screen, as far as it is asked for: one clause for both, of which there may be many."""
    places = [place for place in query.places if place != "title"]
    if not places:
        return []
    filters: list[Clause] = [{"term": {"kind": "passage"}}, {"terms": {"place": places}}]
    without = [{"term": {"repeated": True}}] if len(places) > 1 else []
    found = {"bool": {**_found(query, languages, _PASSAGE, filters), "must_not": without}}
    if "screen" not in places or query.mode == "any":  # there the number of words decides
        return [found]
    less = {"filter": {"term": {"place": "screen"}}, "weight": query.screen_weight}
    return [{"function_score": {"query": found, "functions": [less]}}]


def _titles(query: Query, languages: tuple[str, ...]) -> list[Clause]:
    filters: list[Clause] = [{"term": {"kind": "video"}}]
    return [{"bool": _found(query, languages, _TITLE, filters)}] if "title" in query.places else []


def _found(query: Query, languages: tuple[str, ...], fields: _Fields, filters: list[Clause]) -> Clause:
    """The parts of a `bool` that the words of a query are looked for with."""
    if query.mode == "phrase":
        return {"must": [_any([_ends_here(saying, fields) for saying in query.phrases])], "filter": filters}
    slots = [_slot(query, slot, languages, fields) for slot in query.slots]
    own = [here for here, _ in slots]
    if query.mode == "any":
        # How many words a passage has comes before how well they fit.
        counted = [{"constant_score": {"filter": here, "boost": EACH_WORD}} for here in own]
        return {"should": [*counted, *own], "minimum_should_match": 1, "filter": filters}
    both = [_any([here, *before]) if len(slots) > 1 else here for here, before in slots]
    return {"must": [_all(both)], "filter": [*filters, _any(own)]}


def _slot(query: Query, slot: Term, languages: tuple[str, ...], fields: _Fields) -> tuple[Clause, list[Clause]]:
    """What a slot must have in the passage, and in the words it carries. Only the first has a say in the score."""
    here: list[Clause] = []
    before: list[Clause] = []
    text, carried = fields.text, fields.carried or fields.text
    for saying in slot.said:
        if slot.prefix:
            here.append({"prefix": {text: {"value": saying[0]}}})
            before.append({"prefix": {carried: {"value": saying[0]}}})
        elif len(saying) == 1:
            here.append({"term": {text: {"value": saying[0], "boost": 2}}})
            before.append({"term": {carried: saying[0]}})
        else:
            here.append(_ends_here(saying, fields))
            before.append(_said(carried, saying))
    word = slot.word
    if word and query.stems:
        stems = [f"{language}:{stem(word, language)}" for language in languages if stem_language(language)]
        here += [{"term": {fields.stems: one}} for one in stems]
        before += [{"term": {fields.carried_stems: one}} for one in stems]
    if word and query.typos and forgives(word):
        # Not the default rewriting, which would look for the fifty nearest words only.
        fuzzy = {"value": word, "fuzziness": 1, "transpositions": True, "rewrite": "constant_score"}
        here.append({"fuzzy": {text: {**fuzzy, "boost": 0.5}}})
        before.append({"fuzzy": {carried: fuzzy}})
    carrying = [{"constant_score": {"filter": _any(before), "boost": 0.1}}] if fields.carried else []
    return {"dis_max": {"queries": here}}, carrying


def _ends_here(saying: Variant, fields: _Fields) -> Clause:
    """Words one after the other, the last of them in the passage."""
    whole = _said(fields.text, saying)
    if fields.carried is None:
        return whole
    crossing = [
        _all([_said(fields.carried, (*saying[:at], BORDER)), _said(fields.text, (BORDER, *saying[at:]))])
        for at in range(1, len(saying))
    ]
    return _any([whole, *crossing])


def _said(field: str, saying: Variant) -> Clause:
    return {"match_phrase": {field: " ".join(saying)}}


def filters_of(query: Query | Filters, video: str | None) -> list[Clause]:
    """What a document must have besides its words, or its vector."""
    published = {
        name: str(day) for name, day in (("gte", query.since), ("lte", query.until)) if day is not None
    }  # a day that ends a range counts whole
    known: list[Clause] = []
    if query.topic is not None:
        known.append({"term": {"topic": query.topic.lower()}})
    if published:
        known.append({"range": {"published_at": {**published, "format": "strict_date_optional_time"}}})
    if query.language is not None:
        known.append({"term": {"language": language_code(query.language)}})
    if query.min_confidence:
        known.append({"range": {"confidence": {"gte": query.min_confidence}}})
    if video is not None:
        known.append({"term": {"video_id": video}})
    return known


def _all(clauses: list[Clause]) -> Clause:
    return clauses[0] if len(clauses) == 1 else {"bool": {"must": clauses}}


def _any(clauses: list[Clause]) -> Clause:
    return clauses[0] if len(clauses) == 1 else {"bool": {"should": clauses, "minimum_should_match": 1}}
