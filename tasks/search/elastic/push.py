"""Videos into an index: their parts first, the video's own document last, every item accounted for.

Each document has the lake's generation as its external version. A conflict (409) therefore means that the index has the
document already, as new or newer; sending again does no harm, and an older generation changes nothing. The video's document
stays when a video shrinks or goes: Elasticsearch forgets the versions of what was deleted, and without it an old replay
could bring parts back.
"""

from __future__ import annotations

import collections
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import duckdb

from tasks.errors import SearchUnavailable
from tasks.search.elastic.connection import WHERE, reached
from tasks.search.elastic.documents import Document, Parts, PendingVideo, chunks, documents
from tasks.search.elastic.mapping import ANNOUNCED
from tasks.search.elastic.target import Target

CHUNK_VIDEOS = 500
SENDERS = 2  # one chunk is on its way while the next is made
LACKING = "the lake has less of it than its row says; see: nightscribe maintain --check"
GIVE_UP_AFTER = 3  # chunks of which nothing was taken


@dataclass
class Pushed:
    """What became of videos that were to be sent. `failed` has the first reason of each."""

    videos: int = 0
    passages: int = 0
    vectors: int = 0
    deleted: int = 0
    unchanged: int = 0
    failed: dict[str, tuple[int, str]] = field(default_factory=dict)

    def count(self, number: int, parts: Parts) -> None:
        """One more part was taken."""
        if number < parts.texts:
            self.passages += 1
        else:
            self.vectors += 1

    def add(self, other: Pushed) -> None:
        self.videos += other.videos
        self.passages += other.passages
        self.vectors += other.vectors
        self.deleted += other.deleted
        self.unchanged += other.unchanged
        self.failed.update(other.failed)


def push(
    target: Target,
    connection: duckdb.DuckDBPyConnection,
    videos: Iterator[PendingVideo],
    *,
    again: bool = False,
    announced: bool = True,
) -> Pushed:
    """Bring videos into the index as the lake has them. What it has already is left alone, or with `again` sent once more.

    A video that grows is announced first: if this sync is killed, the next one knows how many parts may be there. Only an
    index that is given up with its sync can do without (`announced`).

    Raises:
        SearchUnavailable: Elasticsearch does not answer, or takes nothing any more. What it took so far stays.
    """
    done = Pushed()
    under_way: collections.deque[Future[Pushed]] = collections.deque()
    lost_in_a_row = 0
    prepared: set[tuple[str, int]] = set()

    def collect() -> None:
        nonlocal lost_in_a_row
        result = under_way.popleft().result()
        done.add(result)
        lost_in_a_row = lost_in_a_row + 1 if result.failed and not result.videos else 0
        if lost_in_a_row >= GIVE_UP_AFTER:
            _, reason = next(iter(result.failed.values()))
            raise SearchUnavailable(f"Elasticsearch takes no more documents: {reason}", next=WHERE)

    with reached("the documents"), ThreadPoolExecutor(SENDERS) as senders:
        try:
            for chunk in chunks(videos, most_videos=CHUNK_VIDEOS):
                had = target.videos([video.video_id for video in chunk])
                due = [v for v in chunk if again or had.get(v.video_id, {}).get("generation", -1) < v.generation]
                done.unchanged += len(chunk) - len(due)
                if due:
                    made = list(documents(connection, due))
                    new = set().union(*(parts.sizes for _, _, parts in made)) - prepared
                    target.prepare(new)
                    prepared |= new
                    whole = {video.video_id for video, _, _ in made}
                    done.failed.update({v.video_id: (v.generation, LACKING) for v in due if v.video_id not in whole})
                    under_way.append(senders.submit(send, target, made, had, again=again, announced=announced))
                while len(under_way) >= SENDERS:
                    collect()
            while under_way:
                collect()
        finally:
            for future in under_way:
                future.cancel()
    return done


def send(
    target: Target,
    made: Sequence[tuple[PendingVideo, Document, Parts]],
    had: dict[str, Document],
    *,
    again: bool = False,
    announced: bool = True,
) -> Pushed:
    """Send the documents of some videos; `had` is what the index says it has of them.

    With `again`, a part that somebody deleted a moment ago is made anew. Without, its video fails: the deletion may be
    that of a newer sync which is not done yet.
    """
    done = Pushed()
    by_id = {video.video_id: (video, whole, parts) for video, whole, parts in made}
    generations = {video_id: video.generation for video_id, (video, _, _) in by_id.items()}
    conflicts: list[str] = []
    overtaken: set[str] = set()
    if announced:
        refused = _account(target, list(_announcements(made, had)), generations, done)
        overtaken = _newer(target, refused, generations)
        made = [one for one in made if one[0].video_id not in overtaken | done.failed.keys()]
    for _, id_, status, reason in target.bulk(_parts(made)):
        video_id, _, number = id_.partition(":")
        if status < 300:
            done.count(int(number), by_id[video_id][2])
        elif status == 409:
            conflicts.append(id_)
        else:
            done.failed.setdefault(video_id, (generations[video_id], f"{status} {reason}"))
    overtaken |= _confirm(target, by_id, conflicts, done, again=again)
    whole = [(v, doc) for v, doc, _ in made if v.video_id not in done.failed and v.video_id not in overtaken]
    if announced:
        _remove_beyond(target, [video for video, _ in whole], had, done)
        whole = [(v, doc) for v, doc in whole if v.video_id not in done.failed]
    for _, video_id, status, reason in target.bulk(_action(v.video_id, v.generation, doc) for v, doc in whole):
        if status < 300:
            done.videos += 1
        elif status == 409:
            overtaken.add(video_id)
        else:
            done.failed[video_id] = (generations[video_id], f"{status} {reason}")
    if overtaken:
        _give_way(target, {i: by_id[i][:2] for i in sorted(overtaken)}, done, again=again)
    return done


def _announcements(
    made: Sequence[tuple[PendingVideo, Document, Parts]], had: dict[str, Document]
) -> Iterator[dict[str, Any]]:
    """Videos' documents as they are, but for the number of parts that will be there. A new one is not yet to be found."""
    for video, whole, parts in made:
        before = had.get(video.video_id, {"generation": 0, "n_parts": 0, "status": ANNOUNCED})
        if len(parts) > before["n_parts"]:
            yield _action(video.video_id, before["generation"], {**whole, **before, "n_parts": len(parts)})


def part_id(video_id: str, number: int) -> str:
    return f"{video_id}:{number}"


def _parts(made: Sequence[tuple[PendingVideo, Document, Parts]]) -> Iterator[dict[str, Any]]:
    for video, _, parts in made:
        for part in parts:
            yield _action(part_id(video.video_id, part["part_no"]), video.generation, part)


def _remove_beyond(target: Target, videos: Sequence[PendingVideo], had: dict[str, Document], done: Pushed) -> None:
    """Remove parts that a video no longer has: those it had when we looked, and those that another sync has announced
    or brought since."""
    now = target.videos([video.video_id for video in videos]) if videos else {}
    actions = []
    for video in videos:
        most = max(seen.get(video.video_id, {}).get("n_parts", 0) for seen in (had, now))
        for number in range(video.n_parts, most):
            actions.append(removal(part_id(video.video_id, number), video.generation))
    _account(target, actions, {video.video_id: video.generation for video in videos}, done)


def _action(id_: str, generation: int, document: Document) -> dict[str, Any]:
    return {
        "_op_type": "index",
        "_id": id_,
        "version": generation,
        "version_type": "external_gte",
        "_source": document,
    }


def removal(id_: str, generation: int) -> dict[str, Any]:
    """The deletion of a document that is not newer than a generation."""
    return {"_op_type": "delete", "_id": id_, "version": generation, "version_type": "external_gte"}


def _confirm(
    target: Target,
    made: dict[str, tuple[PendingVideo, Document, Parts]],
    conflicts: Sequence[str],
    done: Pushed,
    *,
    again: bool,
) -> set[str]:
    """See that what conflicts is there. Returns the videos of which the index has something newer meanwhile."""
    missing = set(conflicts) - target.versions(conflicts).keys() if conflicts else set()
    if not missing:
        return set()
    videos = sorted({id_.split(":")[0] for id_ in missing})
    generations = {i: made[i][0].generation for i in videos}
    overtaken = _newer(target, videos, generations)
    anew = []
    for video_id in videos:
        video, _, parts = made[video_id]
        if video_id in overtaken:
            continue
        if not again:
            done.failed.setdefault(video_id, (video.generation, "409 a passage or a vector was deleted a moment ago"))
            continue
        for one in parts:
            if (id_ := part_id(video_id, one["part_no"])) in missing:
                anew.append(_anew(id_, one))
                done.count(one["part_no"], parts)
    _account(target, anew, generations, done)
    return overtaken


def _newer(target: Target, ids: Sequence[str], generations: dict[str, int]) -> set[str]:
    """Those videos of which the index has a newer generation than ours: another sync has passed us."""
    now = target.videos(ids) if ids else {}
    return {video_id for video_id, document in now.items() if document["generation"] > generations[video_id]}


def _give_way(target: Target, sent: dict[str, tuple[PendingVideo, Document]], done: Pushed, *, again: bool) -> None:
    """Another sync has brought something newer meanwhile: what we sent beyond its parts goes again."""
    now = target.videos(list(sent))
    actions = []
    for video_id, (video, whole) in sent.items():
        newer = now.get(video_id)
        if newer is None and again:
            actions.append(_anew(video_id, whole))
            done.videos += 1
        elif newer is None:
            done.failed[video_id] = (video.generation, "409 the video's document was deleted a moment ago")
        else:
            done.unchanged += 1
            beyond = range(newer["n_parts"], video.n_parts)
            actions += [removal(part_id(video_id, n), newer["generation"]) for n in beyond]
    _account(target, actions, {video_id: video.generation for video_id, (video, _) in sent.items()}, done)


def _anew(id_: str, document: Document) -> dict[str, Any]:
    """A document where there is none. Its version is Elasticsearch's own, above that of the deletion it follows."""
    return {"_op_type": "create", "_id": id_, "_source": document}


def _account(target: Target, actions: Sequence[dict[str, Any]], generations: dict[str, int], done: Pushed) -> list[str]:
    """Send a few more actions; what fails is a failure of its video. Returns the ids that conflict."""
    conflicts = []
    for operation, id_, status, reason in target.bulk(actions) if actions else ():
        video_id = id_.split(":")[0]
        if status < 300:
            done.deleted += operation == "delete"
        elif status == 409:
            conflicts.append(id_)
        elif status != 404:
            done.failed[video_id] = (generations[video_id], f"{status} {reason}")
    if any(action["_op_type"] == "delete" for action in actions):
        target.still_there()
    return conflicts
