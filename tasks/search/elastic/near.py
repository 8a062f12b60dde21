"""What is near a vector, by Elasticsearch's approximate nearest neighbours: for archives whose every vector takes long to compare.

It finds what a search of the lake finds but for a few: its graph (Malkov and Yashunin 2016) leaves some out, and the bytes that are
asked with are not quite what was wished for.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tasks.errors import BadQuery
from tasks.models.packing import packed
from tasks.search.elastic.ask import Searcher
from tasks.search.elastic.mapping import vector_field
from tasks.search.elastic.request import Clause, filters_of
from tasks.search.near_kinds import Kind
from tasks.search.near_scan import NearQuery, answer_of, moment_of

MOST = 10_000  # neighbours that Elasticsearch looks for at once
FEWEST = 100
TIMES_MORE = 10  # neighbours for each video that is to be shown: several of one video are often the nearest
VIDEOS_AT_ONCE = 50  # whose moments are asked for with one request


class OutOfReach(BadQuery):
    """Elasticsearch answers, and cannot answer this: the lake can."""


def search(
    searcher: Searcher,
    kind: Kind,
    query: NearQuery,
    recipes: Sequence[str],
    likelihood: Callable[[float], float | None] = lambda similarity: None,
) -> dict[str, Any]:
    """The answer of `tasks.search.near_scan.search`, whose `within` it does not know.

    Raises:
        OutOfReach: the page lies beyond what it can reach, or it has no vectors yet. SearchUnavailable: it does not answer.
    """
    [wished], _ = packed(query.wished[None])
    filters = _filters(kind, query, recipes)
    asked = _Asked(searcher, vector_field(kind.table, len(wished)), wished, filters)
    total_moments, total_videos = asked.totals()
    if not total_moments and not asked.any_of(kind):
        raise OutOfReach(f"Elasticsearch has no {kind.table} yet.", next="nightscribe sync")
    near = asked.videos(query.offset + query.limit, total_moments, total_videos) if total_moments else {}
    wanted = list(near)[query.offset : query.offset + query.limit]
    counts, about = asked.counts(wanted), searcher.about(wanted)
    # Some may have gone since they were found, or have parts only: the videos' own documents are sent last.
    page = [video_id for video_id in wanted if video_id in counts and video_id in about]
    moments = asked.moments(page, query.moments, counts)
    best = {one: max([near[one], *(similarity for similarity, _ in moments[one])]) for one in page}
    videos = [
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
    ]
    return answer_of(kind, query, "elasticsearch", (total_videos, total_moments), len(wanted), videos)


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

    def __init__(self, searcher: Searcher, field: str, wished: bytes, filters: list[Clause]) -> None:
        self._searcher, self._field, self._wished, self._filters = searcher, field, wished.hex(), filters
        # Copies of a shard have graphs of their own: the pages of a search all come from the same ones.
        self._copies = f"?preference={hashlib.sha256(wished).hexdigest()[:16]}"

    def any_of(self, kind: Kind) -> bool:
        """Whether there are any vectors of a kind, whatever the filters."""
        found = self._post({"size": 0, "query": {"term": {"kind": kind.table}}, "terminate_after": 1})
        return bool(found["hits"]["total"]["value"])

    def totals(self) -> tuple[int, int]:
        """How many vectors are compared with, and of how many videos."""
        found = self._post(
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
                raise OutOfReach(
                    f"The {MOST:,} nearest, which is as far as Elasticsearch looks, are of {len(near)} videos.",
                    next="Ask for fewer videos, or the lake: --engine duckdb",
                )
            neighbours = min(MOST, 4 * neighbours)

    def counts(self, page: Sequence[str]) -> dict[str, int]:
        """How many vectors each of these videos has."""
        if not page:
            return {}
        found = self._post(
            {
                "size": 0,
                "query": {"bool": {"filter": [*self._filters, {"terms": {"video_id": list(page)}}]}},
                "aggs": {"each": {"terms": {"field": "video_id", "size": len(page)}}},
            }
        )
        return {bucket["key"]: int(bucket["doc_count"]) for bucket in found["aggregations"]["each"]["buckets"]}

    def moments(
        self, page: Sequence[str], most: int, counts: Mapping[str, int]
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

    def _post(self, body: dict[str, Any]) -> dict[str, Any]:
        return self._searcher.post(body, self._copies)

    def _nearest(self, knn: list[Clause], size: int, fields: list[str]) -> list[tuple[float, dict[str, Any]]]:
        """Cosines and sources. Elasticsearch's score of a cosine is half of one more than it."""
        found = self._post({"knn": knn, "size": size, "_source": fields})
        return [(2 * float(hit["_score"]) - 1, hit["_source"]) for hit in found["hits"]["hits"]]
