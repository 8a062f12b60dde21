"""Comparing the index with the lake, video by video, both ways; and mending what differs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from elasticsearch import Elasticsearch

from tasks.errors import Misconfigured
from tasks.lake.views import Snapshot, connect
from tasks.search.elastic.connection import reached
from tasks.search.elastic.documents import PARTS, TABLES, PendingVideo, current
from tasks.search.elastic.index import check_index, live_index
from tasks.search.elastic.push import Pushed, push, removal
from tasks.search.elastic.syncer import Syncer, SyncReport, record_failures, recorded
from tasks.search.elastic.target import Target

PAGE = 5_000
AT_ONCE = 100  # videos that are mended together


@dataclass(frozen=True)
class Difference:
    """A video of which lake and index have not the same; `what` is a sentence."""

    video_id: str
    what: str

    def sentence(self) -> str:
        return f"Video {self.video_id} {self.what}."


@dataclass(frozen=True)
class _Indexed:
    """What the index has of a video: its own document's generation, and the parts of each generation."""

    video_id: str
    generation: int | None
    n_parts: int
    parts: dict[int, int]
    last: int = -1


def verify(syncer: Syncer, index: str) -> list[Difference]:
    """Compare every video's generation and number of parts; the differences, ordered by video.

    Raises:
        SearchUnavailable. Misconfigured: the index was made otherwise, or of another lake.
    """
    with reached("the comparison"):
        check_index(syncer.client, index, syncer.lake_id)
        syncer.client.indices.refresh(index=index)
        connection = connect(syncer.lake, Snapshot.of(syncer.lake, TABLES), lean=True, history=False)
        return list(_compare(current(connection), _indexed(syncer.client, index)))


def verified(syncer: Syncer) -> tuple[str, list[Difference]]:
    """The index that is kept in step, and what differs in it.

    Raises:
        Misconfigured: there is no index yet.
    """
    with reached("the names of its indices"):
        index = live_index(syncer.client, syncer.names)
    if index is None:
        raise Misconfigured("There is no index yet.", next="nightscribe sync")
    return index, verify(syncer, index)


def repair(syncer: Syncer, index: str, differences: Sequence[Difference]) -> SyncReport:
    """Send what differs again, remove what the lake does not have, and compare once more: "done" is without a difference."""
    report = SyncReport(kind="repair", index=index)
    with recorded(syncer, report):
        for start in range(0, len(differences), AT_ONCE):
            _repair(syncer, report, index, [d.video_id for d in differences[start : start + AT_ONCE]])
        record_failures(syncer, report)  # the state stays: only what differed was looked at
        left = verify(syncer, index)
        report.notes += [f"Still: {difference.sentence()}" for difference in left[:AT_ONCE]]
        if left:
            report.outcome = "failed"
    return report


def _repair(syncer: Syncer, report: SyncReport, index: str, ids: Sequence[str]) -> None:
    """A few videos. What is in the index was in the lake before, so that a snapshot taken now knows all of them."""
    target = Target(syncer.client, index)
    with reached("the documents of videos that differ"):
        hits = list(every_hit(syncer.client, index, {"terms": {"video_id": list(ids)}}, ["video_id", "part_no"]))
        snapshot = Snapshot.of(syncer.lake, TABLES)
        connection = connect(syncer.lake, snapshot, lean=True, history=False)
        newest = list(current(connection, ids))
        strays = list(_strays(hits, {video.video_id: video for video in newest}))
        done = Pushed()
        for operation, id_, status, reason in target.bulk(strays) if strays else ():
            if status < 300:
                done.deleted += operation == "delete"
            elif status not in (404, 409):  # gone, or newer by now
                done.failed[id_.split(":")[0]] = (0, f"{status} {reason}")
        target.still_there()
        report.count(done)
    report.lake_version = snapshot.version
    report.count(push(target, connection, iter(newest), again=True))


def _strays(hits: Sequence[dict[str, Any]], lake: Mapping[str, PendingVideo]) -> Iterator[dict[str, Any]]:
    """Removals of the documents that the lake does not have."""
    for hit in hits:
        video, number = lake.get(hit["_source"]["video_id"]), hit["_source"].get("part_no", -1)
        # By its version: what another sync puts there meanwhile stays.
        if video is None or number >= video.n_parts or hit["_version"] > video.generation:
            yield removal(hit["_id"], hit["_version"])


def _compare(lake: Iterator[PendingVideo], index: Iterator[_Indexed]) -> Iterator[Difference]:
    """Both come ordered by video."""
    wanted, found = next(lake, None), next(index, None)
    while wanted or found:
        if found is None or (wanted and wanted.video_id < found.video_id):
            assert wanted
            yield Difference(wanted.video_id, "is not in the index")
            wanted = next(lake, None)
        elif wanted is None or found.video_id < wanted.video_id:
            yield Difference(found.video_id, "is in the index and not in the lake")
            found = next(index, None)
        else:
            if said := _differ(wanted, found):
                yield Difference(wanted.video_id, said)
            wanted, found = next(lake, None), next(index, None)


def _differ(wanted: PendingVideo, found: _Indexed) -> str:
    if found.generation is None:
        return "has passages or vectors in the index, and no document of its own"
    if found.generation != wanted.generation:
        return f"has generation {wanted.generation} in the lake, {found.generation} in the index"
    expected = {wanted.generation: wanted.n_parts} if wanted.n_parts else {}
    if found.parts != expected:
        counted = ", ".join(f"{n} of generation {g}" for g, n in sorted(found.parts.items())) or "none"
        return f"has {wanted.n_parts} passages and vectors in the lake, in the index {counted}"
    if found.last != wanted.n_parts - 1:
        return f"has {wanted.n_parts} passages and vectors, but the last in the index has number {found.last}"
    if found.n_parts != wanted.n_parts:
        return f"has {wanted.n_parts} passages and vectors, its document says {found.n_parts}"
    return ""


def _indexed(client: Elasticsearch, index: str) -> Iterator[_Indexed]:
    """What the index has, ordered by video: its own documents merged with counts of parts."""
    videos = (
        (hit["_source"]["video_id"], hit["_source"])
        for hit in every_hit(client, index, {"term": {"kind": "video"}}, ["video_id", "generation", "n_parts"])
    )
    counts = _part_counts(client, index)
    video, count = next(videos, None), next(counts, None)
    while video or count:
        if count is None or (video and video[0] < count[0]):
            assert video
            yield _Indexed(video[0], video[1]["generation"], video[1]["n_parts"], {})
            video = next(videos, None)
        elif video is None or count[0] < video[0]:
            yield _Indexed(count[0], None, 0, count[1], count[2])
            count = next(counts, None)
        else:
            yield _Indexed(video[0], video[1]["generation"], video[1]["n_parts"], count[1], count[2])
            video, count = next(videos, None), next(counts, None)


def every_hit(client: Elasticsearch, index: str, query: dict[str, Any], fields: list[str]) -> Iterator[Any]:
    """Every hit of a query in the order of video and part, by the page, with its version."""
    after: list[Any] | None = None
    while True:
        page = client.search(
            index=index,
            query=query,
            source_includes=fields,
            version=True,
            size=PAGE,
            sort=[
                {"video_id": "asc"},
                {"kind": "asc"},
                {"part_no": {"order": "asc", "missing": -1, "unmapped_type": "integer"}},
            ],
            search_after=after,
            track_total_hits=False,
        )["hits"]["hits"]
        yield from page
        if len(page) < PAGE:
            return
        after = page[-1]["sort"]


def _part_counts(client: Elasticsearch, index: str) -> Iterator[tuple[str, dict[int, int], int]]:
    """For each video that has parts, how many of which generation, and the highest number; ordered by video."""
    for video, buckets in itertools.groupby(_buckets(client, index), key=lambda bucket: bucket["key"]["video"]):
        counts, last = {}, -1
        for bucket in buckets:
            counts[bucket["key"]["generation"]] = bucket["doc_count"]
            last = max(last, int(bucket["last"]["value"]))
        yield video, counts, last


def _buckets(client: Elasticsearch, index: str) -> Iterator[Any]:
    sources = [{"video": {"terms": {"field": "video_id"}}}, {"generation": {"terms": {"field": "generation"}}}]
    after: dict[str, Any] | None = None
    while True:
        composite: dict[str, Any] = {"size": PAGE, "sources": sources}
        if after:
            composite["after"] = after
        found = client.search(
            index=index,
            size=0,
            query={"terms": {"kind": list(PARTS)}},
            aggs={"counts": {"composite": composite, "aggs": {"last": {"max": {"field": "part_no"}}}}},
            track_total_hits=False,
        )["aggregations"]["counts"]
        yield from found["buckets"]
        after = found.get("after_key")
        if after is None or len(found["buckets"]) < PAGE:
            return
