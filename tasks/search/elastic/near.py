"""What is near a vector, by Elasticsearch's approximate nearest neighbours: for archives whose every vector takes long to compare.

It finds what a search of the lake finds but for a few: its graph (Malkov and Yashunin 2016) leaves some out, and the bytes that are
asked with are not quite what was wished for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tasks.errors import SearchUnavailable
from tasks.models.packing import packed
from tasks.search.elastic.ask import Searcher
from tasks.search.elastic.mapping import vector_field
from tasks.search.elastic.request import Clause, filters_of
from tasks.search.near_kinds import Kind
from tasks.search.near_scan import NearQuery, moment_of

MOST = 10_000  # neighbours that Elasticsearch looks for at once
FEWEST = 100
TIMES_MORE = 10  # neighbours for each video that is to be shown: several of one video are often the nearest
VIDEOS_AT_ONCE = 50  # whose moments are asked for with one request


def search(
    searcher: Searcher,
    kind: Kind,
    query: NearQuery,
    recipes: Sequence[str],
    likelihood: Callable[[float], float | None] = lambda similarity: None,
) -> dict[str, Any]:
    """The answer of `tasks.search.near_scan.search`, whose `within` it does not know.

    Raises:
        SearchUnavailable: Elasticsearch does not answer, or the page lies beyond what it can reach.
    """
    [wished], _ = packed(query.wished[None])
    asked = _Asked(searcher, vector_field(kind.table, len(wished)), wished.hex(), _filters(kind, query, recipes))
    total_moments, total_videos = asked.totals()
    near = asked.videos(query.offset + query.limit, total_moments, total_videos) if total_moments else {}
    page = list(near)[query.offset : query.offset + query.limit]
    counts = asked.counts(page)
    moments = asked.moments(page, query.moments, counts)
    best = {video_id: max(near[video_id], *(similarity for similarity, _ in moments[video_id])) for video_id in page}
    about = searcher.about(page)
    following = query.offset + len(page)
    return {
        "query": "",
        "mode": kind.mode,
        "engine": "elasticsearch",
        "fallback_reason": None,
        "total_videos": total_videos,
        "total_moments": total_moments,
        "next": following if page and following < total_videos else None,
        "videos": [
            {
                "video_id": video_id,
                **{name: about[video_id][name] for name in ("key", "title", "published_at", "duration_ms", "topics")},
                "moments": [
                    moment_of(source["near"]["times"], source["near"]["told"] or {}, similarity, likelihood)
                    for similarity, source in moments[video_id]
                ],
                "score": round(best[video_id], 4),
                "moments_total": counts[video_id],
            }
            for video_id in sorted(page, key=lambda one: (-best[one], one))
        ],
        "instead": None,
        "suggestions": [],
    }


def _filters(kind: Kind, query: NearQuery, recipes: Sequence[str]) -> list[Clause]:
    filters: list[Clause] = [{"term": {"kind": kind.table}}, {"terms": {"recipe": list(recipes)}}]
    filters += filters_of(query.filters, query.video)
    if query.itself is not None:
        video, number = query.itself
        itself = [{"term": {"video_id": video}}, {"term": {"number": number}}]
        filters.append({"bool": {"must_not": [{"bool": {"filter": itself}}]}})
    return filters


class _Asked:
    """The requests of one search."""

    def __init__(self, searcher: Searcher, field: str, wished: str, filters: list[Clause]) -> None:
        self._searcher, self._field, self._wished, self._filters = searcher, field, wished, filters

    def totals(self) -> tuple[int, int]:
        """How many vectors are compared with, and of how many videos."""
        found = self._searcher.post(
            {
                "size": 0,
                "query": {"bool": {"filter": self._filters}},
                "track_total_hits": True,
                "aggs": {"videos": {"cardinality": {"field": "video_id", "precision_threshold": 40_000}}},
            }
        )
        return int(found["hits"]["total"]["value"]), int(found["aggregations"]["videos"]["value"])

    def videos(self, wanted: int, total_moments: int, total_videos: int) -> dict[str, float]:
        """So many videos, or all there are, with the cosine of their nearest, nearest first."""
        neighbours = min(MOST, max(FEWEST, TIMES_MORE * wanted))
        while True:
            near: dict[str, float] = {}
            for similarity, source in self._nearest([self._neighbours(neighbours)], neighbours, ["video_id"]):
                near.setdefault(source["video_id"], similarity)
            if len(near) >= min(wanted, total_videos) or neighbours >= total_moments:
                return dict(sorted(near.items(), key=lambda one: (-one[1], one[0])))
            if neighbours >= MOST:
                raise SearchUnavailable(
                    f"the {MOST:,} nearest, which is as far as Elasticsearch looks, are of {len(near)} videos",
                    next="Ask for fewer videos, or the lake: --engine duckdb",
                )
            neighbours = min(MOST, 4 * neighbours)

    def counts(self, page: Sequence[str]) -> dict[str, int]:
        """How many vectors each of these videos has."""
        if not page:
            return {}
        found = self._searcher.post(
            {
                "size": 0,
                "query": {"bool": {"filter": [*self._filters, {"terms": {"video_id": list(page)}}]}},
                "aggs": {"each": {"terms": {"field": "video_id", "size": len(page)}}},
            }
        )
        return {bucket["key"]: int(bucket["doc_count"]) for bucket in found["aggregations"]["each"]["buckets"]}

    def moments(
        self, page: Sequence[str], most: int, counts: dict[str, int]
    ) -> dict[str, list[tuple[float, dict[str, Any]]]]:
        """The nearest of each of these videos: with so few to compare, Elasticsearch compares every one."""
        moments: dict[str, list[tuple[float, dict[str, Any]]]] = {video_id: [] for video_id in page}
        for start in range(0, len(page), VIDEOS_AT_ONCE):
            some = page[start : start + VIDEOS_AT_ONCE]
            knn = [self._neighbours(most, {"term": {"video_id": one}}, counts[one]) for one in some]
            for similarity, source in self._nearest(knn, most * len(some), ["video_id", "near"]):
                moments[source["video_id"]].append((similarity, source))
        return moments

    def _neighbours(self, most: int, only: Clause | None = None, candidates: int = 0) -> Clause:
        return {
            "field": self._field,
            "query_vector": self._wished,
            "k": most,
            "num_candidates": min(MOST, max(candidates, most, FEWEST)),
            "filter": [*self._filters, *([only] if only else [])],
        }

    def _nearest(self, knn: list[Clause], size: int, fields: list[str]) -> list[tuple[float, dict[str, Any]]]:
        """Cosines and sources. Elasticsearch's score of a cosine is half of one more than it."""
        found = self._searcher.post({"knn": knn, "size": size, "_source": fields})
        return [(2 * float(hit["_score"]) - 1, hit["_source"]) for hit in found["hits"]["hits"]]
