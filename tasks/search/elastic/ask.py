"""A search on Elasticsearch: what is asked is `request.py`'s, the answer has the shape of `search --json`."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from tasks.errors import SearchUnavailable
from tasks.search.elastic.connection import WHERE, Connection, reason_of, refused
from tasks.search.elastic.mapping import ANNOUNCED, LONGEST_BEGINNING, REBUILD, STATE_ID, recipe
from tasks.search.elastic.request import filters_of, request_of
from tasks.search.moments import PassageWords, in_time, moment_of, written
from tasks.search.query import Query
from tasks.text.folding import fold_word, words_of

if TYPE_CHECKING:
    import httpx


MOST_FILTERS = 500  # words that are looked for with one request


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
        # Copies of a shard score differently: the pages of a query all come from the same ones.
        copies = hashlib.sha256(query.text.encode()).hexdigest()[:16]
        found = self.post(request_of(query, self.languages), f"?preference={copies}")
        hits = found["hits"]["hits"][: query.limit]
        total_videos = int(found["aggregations"]["videos"]["value"])
        videos = self.about([hit["_source"]["video_id"] for hit in hits])
        more = query.offset + len(hits) if hits and len(found["hits"]["hits"]) > query.limit else None
        return {
            **_head(query, total_videos, int(found["hits"]["total"]["value"]), more),
            "videos": [self._video(query, hit, videos) for hit in hits],
        }

    def _by_title(self, query: Query) -> dict[str, Any]:
        """Videos without words, by the words of their titles."""
        words = " ".join(dict.fromkeys(query.typed))
        filters = [{"term": {"kind": "video"}}, {"term": {"status": query.status}}, *filters_of(query, query.video)]
        found = self.post(
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
        found = self.post(
            {
                "query": {
                    "bool": {
                        "filter": [
                            {"term": {"kind": "video"}},
                            {"match": {"title.begins": {"query": " ".join(words), "operator": "and"}}},
                        ],
                        "must_not": [{"terms": {"status": ["gone", ANNOUNCED]}}],
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
        found = self.post(
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

    def said(self, words: Collection[str]) -> set[str]:
        """Those of the words that the archive has."""
        asked, found = list(words), set()
        for start in range(0, len(asked), MOST_FILTERS):
            some = asked[start : start + MOST_FILTERS]
            filters = [{"term": {"text": word}} for word in some]
            counted = self.post(
                {"size": 0, "track_total_hits": False, "aggs": {"said": {"filters": {"filters": filters}}}},
            )["aggregations"]["said"]["buckets"]
            found |= {word for word, bucket in zip(some, counted, strict=True) if bucket["doc_count"]}
        return found

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
            "moments": in_time([_moment(query, moment["_source"]) for moment in inner["hits"]]),
        }

    def about(self, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """What is shown of these videos."""
        if not ids:
            return {}
        found = self._request("POST", f"/{self._index}/_mget?_source_includes=video", {"ids": list(ids)})
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

    def post(self, body: dict[str, Any], options: str = "") -> dict[str, Any]:
        """The answer to a search with this body.

        Raises:
            SearchUnavailable.
        """
        return self._request("POST", f"/{self._index}/_search{options}", body)

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


def _moment(query: Query, source: dict[str, Any]) -> dict[str, Any]:
    return {"place": source["place"], **moment_of(query, heard_of(source))}


def heard_of(source: dict[str, Any]) -> PassageWords:
    """The words of a passage as its document has them; of a video's own document those of the title."""
    if source["place"] == "title":
        return written(source["video"]["language"], "", source["video"]["title"], 0, 0, 1.0)
    heard = source["heard"]
    if source["place"] == "screen":
        return written(**heard)
    said = heard["words"]
    return PassageWords(
        language=heard["language"],
        said=said,
        folded=[fold_word(word) for word in said],
        starts=heard["starts"],
        ends=heard["ends"],
        confidences=heard["confidences"],
        carried=heard["carried"],
    )
