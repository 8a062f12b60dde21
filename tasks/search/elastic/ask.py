"""A search on Elasticsearch: the query in its own language, the answer in the shape of `search --json`.

Slots and phrases are those of `tasks.search.query`; what a passage must have is the same as on the lake. A phrase that
crosses into a passage is looked for in two parts, one at the end of the carried words and one at the beginning of the
passage, where a border stands as a word: so it is found once, in the passage where it ends.
"""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any

from tasks.alike import forgives, language_code, stem
from tasks.errors import SearchUnavailable
from tasks.folding import fold_word, words_of
from tasks.search.elastic.connection import WHERE, Connection, reason_of, refused
from tasks.search.elastic.mapping import BORDER, LONGEST_BEGINNING, REBUILD, STATE_ID, recipe
from tasks.search.moments import Heard, moment_of
from tasks.search.query import Query, Saying, Slot

if TYPE_CHECKING:
    import httpx

Clause = dict[str, Any]


class Searcher:
    """Asks an index or the read alias. Opening it looks whether the index was made by this version."""

    def __init__(self, connection: Connection, index: str, lake_id: str) -> None:
        self._http: httpx.Client = connection.light()
        self._index = index
        try:
            self.languages = self._languages(lake_id)
        except BaseException:
            self._http.close()
            raise

    def __enter__(self) -> Searcher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def search(self, query: Query) -> dict[str, Any]:
        """The answer as `search --json` prints it; videos by score, moments in time order.

        Raises:
            SearchUnavailable: Elasticsearch does not answer, or not as it should.
        """
        if query.status != "indexed":
            return self._by_title(query)
        found = self._post(f"/{self._index}/_search", request_of(query, self.languages))
        hits = found["hits"]["hits"][: query.limit]
        total_videos = int(found["aggregations"]["videos"]["value"])
        videos = self._videos([hit["_source"]["video_id"] for hit in hits])
        more = query.offset + len(hits) if hits and len(found["hits"]["hits"]) > query.limit else None
        return {
            **_head(query, total_videos, int(found["hits"]["total"]["value"]), more),
            "videos": [self._video(query, hit, videos) for hit in hits],
        }

    def _by_title(self, query: Query) -> dict[str, Any]:
        """Videos without words, by the words of their titles."""
        words = " ".join(dict.fromkeys(query.typed))
        filters = [{"term": {"kind": "video"}}, {"term": {"status": query.status}}, *_filters(query)]
        found = self._post(
            f"/{self._index}/_search",
            {
                "query": {
                    "bool": {"filter": filters, "must": [{"match": {"title": {"query": words, "operator": "and"}}}]}
                },
                "sort": [{"published_at": {"order": "desc", "missing": "_last"}}, "video_id"],
                "track_scores": True,
                "track_total_hits": True,
                "from": query.offset,
                "size": query.limit,
                "_source": ["video_id", "video"],
            },
        )
        hits, total = found["hits"]["hits"], int(found["hits"]["total"]["value"])
        following = query.offset + len(hits)
        return {
            **_head(query, total, 0, following if hits and following < total else None),
            "videos": [self._video(query, hit, {hit["_id"]: hit["_source"]["video"]}) for hit in hits],
        }

    def titles(self, begun: str, limit: int = 8) -> list[dict[str, Any]]:
        """Videos whose titles have words that begin as typed, best first: `video_id`, `key` and `title`."""
        words = [word[:LONGEST_BEGINNING] for word in words_of(begun)]
        if not words:
            return []
        found = self._post(
            f"/{self._index}/_search",
            {
                "query": {
                    "bool": {
                        "filter": [
                            {"term": {"kind": "video"}},
                            {"match": {"title.begins": {"query": " ".join(words), "operator": "and"}}},
                        ],
                        "must_not": [{"term": {"status": "gone"}}],
                        "should": [{"constant_score": {"filter": {"term": {"title": word}}}} for word in words],
                    }
                },
                "size": limit,
                "_source": ["video_id", "video"],
                "sort": ["_score", {"published_at": {"order": "desc", "missing": "_last"}}, "video_id"],
            },
        )
        sources = [hit["_source"] for hit in found["hits"]["hits"]]
        return [{"video_id": s["video_id"], "key": s["video"]["key"], "title": s["video"]["title"]} for s in sources]

    def near(self, word: str) -> list[str]:
        """Words of the archive that one typo leads to or from, the most frequent first."""
        found = self._post(
            f"/{self._index}/_search",
            {
                "size": 0,
                "suggest": {
                    "near": {
                        "text": word,
                        "term": {
                            "field": "text", "suggest_mode": "always", "max_edits": 1, "prefix_length": 0,
                            "min_word_length": 1, "sort": "frequency", "size": 20, "string_distance": "internal",
                        },
                    }
                },
            },
        )  # fmt: skip
        return [option["text"] for entry in found["suggest"]["near"] for option in entry["options"]]

    # -- the answer -------------------------------------------------------------------------------------------------

    def _video(self, query: Query, hit: dict[str, Any], videos: dict[str, dict[str, Any]]) -> dict[str, Any]:
        video_id = hit["_source"]["video_id"]
        about = videos.get(video_id, {})
        none: dict[str, Any] = {"total": {"value": 0}, "hits": []}
        inner = hit["inner_hits"]["moments"]["hits"] if "inner_hits" in hit else none
        return {
            "video_id": video_id,
            "key": about.get("key", ""),
            "title": about.get("title", ""),
            "published_at": about.get("published_at"),
            "duration_ms": about.get("duration_ms"),
            "score": round(hit["_score"] or 0.0, 4),
            "topics": about.get("topics", []),
            "moments_total": int(inner["total"]["value"]),
            "moments": [moment_of(query, heard_of(moment["_source"])) for moment in inner["hits"]],
        }

    def _videos(self, ids: list[str]) -> dict[str, dict[str, Any]]:
        if not ids:
            return {}
        found = self._post(f"/{self._index}/_mget?_source_includes=video", {"ids": ids})
        return {doc["_id"]: doc["_source"]["video"] for doc in found["docs"] if doc.get("found")}

    # -- the wire ---------------------------------------------------------------------------------------------------

    def _languages(self, lake_id: str) -> tuple[str, ...]:
        found = self._request("GET", f"/{self._index}/_mapping")
        metas = [about["mappings"].get("_meta", {}) for about in found.values()]
        if any(meta.get(name) != value for meta in metas for name, value in recipe().items()):
            raise SearchUnavailable("the index was made by another version of Nightscribe", next=REBUILD)
        if any(meta.get("lake_id") != lake_id for meta in metas):
            raise SearchUnavailable("the index belongs to another lake", next="Set elasticsearch_prefix for each lake.")
        state = self._request("GET", f"/{self._index}/_doc/{STATE_ID}", missing={"_source": {"languages": []}})
        return tuple(state["_source"]["languages"])

    def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._request("POST", path, body)

    def _request(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, missing: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        import httpx

        try:
            answer = self._http.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise SearchUnavailable(
                f"Elasticsearch does not answer ({type(error).__name__}: {error})", next=WHERE
            ) from error
        try:
            said: Any = answer.json()
        except ValueError:  # of something in between
            said = answer.text
        if answer.status_code == 404 and missing is not None and isinstance(said, dict) and said.get("found") is False:
            return missing
        if answer.status_code in (401, 403):
            said_no = refused(answer.status_code)
            raise SearchUnavailable(str(said_no), next=said_no.next)
        if answer.status_code == 404:
            raise SearchUnavailable("there is no index yet", next="nightscribe sync")
        if answer.status_code >= 300 or not isinstance(said, dict) or not answer.headers.get("x-elastic-product"):
            raise SearchUnavailable(f"Elasticsearch says {answer.status_code}: {reason_of(said)}", next=WHERE)
        shards = said.get("_shards", {})
        if shards.get("failed") or said.get("timed_out"):
            raise SearchUnavailable("Elasticsearch answered from a part of its shards only", next=WHERE)
        return said


def _head(query: Query, total_videos: int, total_moments: int, following: int | None) -> dict[str, Any]:
    return {
        "query": query.text,
        "mode": query.mode,
        "engine": "elasticsearch",
        "fallback_reason": None,
        "total_videos": total_videos,
        "total_moments": total_moments,
        "next": following,
    }


def heard_of(source: dict[str, Any]) -> Heard:
    """The words of a passage as its document has them."""
    heard = source["heard"]
    said = heard["words"]
    return Heard(
        language=heard["language"],
        said=said,
        folded=[fold_word(word) for word in said],
        starts=heard["starts"],
        ends=heard["ends"],
        confidences=heard["confidences"],
        carried=heard["carried"],
    )


def request_of(query: Query, languages: tuple[str, ...]) -> dict[str, Any]:
    """The body of a search: passages that match, collapsed by video, counted exactly."""
    found: Clause = {}
    own: Clause | None = None
    if query.mode == "phrase":
        found = _any([_ends_here(saying) for saying in query.phrases])
    elif query.mode == "words":
        slots = [_slot(query, slot, languages) for slot in query.slots]
        found = _all([_any([here, before]) if len(slots) > 1 else here for here, before in slots])
        own = _any([here for here, _ in slots])
    elif query.mode == "any":
        found = _any([_slot(query, slot, languages)[0] for slot in query.slots])
    filters = [{"term": {"kind": "passage"}}, {"term": {"status": "indexed"}}, *_filters(query)]
    if own is not None:
        filters.append(own)
    title = {"match": {"title": {"query": " ".join(dict.fromkeys(query.typed)), "operator": "and"}}}
    return {
        "query": {
            "bool": {"must": [found], "filter": filters, "should": [{"constant_score": {"filter": title, "boost": 3}}]}
        },
        "collapse": {
            "field": "video_id",
            "inner_hits": {
                "name": "moments",
                "size": query.moments,
                "sort": [{"passage_no": "asc"}],
                "_source": ["heard"],
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


def _slot(query: Query, slot: Slot, languages: tuple[str, ...]) -> tuple[Clause, Clause]:
    """What a slot must have in the passage, and in the words it carries. Only the first has a say in the score."""
    here: list[Clause] = []
    before: list[Clause] = []
    for saying in slot.said:
        if slot.prefix:
            here.append({"prefix": {"text": {"value": saying[0]}}})
            before.append({"prefix": {"carried": {"value": saying[0]}}})
        elif len(saying) == 1:
            here.append({"term": {"text": {"value": saying[0], "boost": 2}}})
            before.append({"term": {"carried": saying[0]}})
        else:
            here.append(_ends_here(saying))
            before.append(_said("carried", saying))
    word = slot.word
    if word and query.stems:
        stems = [f"{language}:{stem(word, language)}" for language in languages]
        here += [{"term": {"stems": one}} for one in stems]
        before += [{"term": {"carried_stems": one}} for one in stems]
    if word and query.typos and forgives(word):
        # Not the default rewriting, which would look for the fifty nearest words only.
        fuzzy = {"value": word, "fuzziness": 1, "transpositions": True, "rewrite": "constant_score"}
        here.append({"fuzzy": {"text": {**fuzzy, "boost": 0.5}}})
        before.append({"fuzzy": {"carried": fuzzy}})
    return {"dis_max": {"queries": here}}, {"constant_score": {"filter": _any(before), "boost": 0.1}}


def _ends_here(saying: Saying) -> Clause:
    """Words one after the other, the last of them in the passage."""
    whole = _said("text", saying)
    crossing = [
        _all([_said("carried", (*saying[:at], BORDER)), _said("text", (BORDER, *saying[at:]))])
        for at in range(1, len(saying))
    ]
    return _any([whole, *crossing])


def _said(field: str, saying: Saying) -> Clause:
    return {"match_phrase": {field: " ".join(saying)}}


def _filters(query: Query) -> list[Clause]:
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
    if query.video is not None:
        known.append({"term": {"video_id": query.video}})
    return known


def _all(clauses: list[Clause]) -> Clause:
    return clauses[0] if len(clauses) == 1 else {"bool": {"must": clauses}}


def _any(clauses: list[Clause]) -> Clause:
    return clauses[0] if len(clauses) == 1 else {"bool": {"should": clauses, "minimum_should_match": 1}}
