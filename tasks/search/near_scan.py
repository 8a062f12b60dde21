"""Vectors of the lake compared with one that is wished for: every one, a chunk at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import duckdb
import numpy as np
import pyarrow as pa

from tasks.arrays import Array
from tasks.errors import Misconfigured, NotFound
from tasks.models.packing import products, unpacked
from tasks.search.filters import Filters
from tasks.search.near_kinds import Kind
from tasks.search.shown import iso, topics_of

CHUNK = 20_000  # vectors in memory at a time
_T = TypeVar("_T")
Times = Mapping[str, Sequence[tuple[int, int]]]  # by video, (start, end) in ms


@dataclass(frozen=True)
class NearQuery:
    """A wish as a vector, in which videos it is looked for, and how much is shown. With `within`, only what is there at these
    times; `itself` (a video, and the number of what it has) is not shown."""

    wished: Array
    filters: Filters = field(default_factory=Filters)
    video: str | None = None
    limit: int = 10
    offset: int = 0
    moments: int = 3
    within: Times | None = None
    itself: tuple[str, int] | None = None


def like(
    connection: duckdb.DuckDBPyConnection, kind: Kind, video_id: str, at_ms: int, **options: Any
) -> tuple[NearQuery, list[str]]:
    """How to ask for what is like that which is to be seen, or heard, at a moment of a video, without any model: by the vector that
    the lake has. Also the recipe that it is of.

    `options` are `limit`, `offset` and `moments` of a `NearQuery`.

    Raises:
        NotFound: the video has nothing of the kind.
    """
    found = connection.execute(
        f"SELECT f.{kind.number}, c.recipe FROM {kind.table} f JOIN current_{kind.table} c USING (video_id) "
        "WHERE f.video_id = $1 ORDER BY f.start_ms <= $2 DESC, abs(f.start_ms - $2) LIMIT 1",
        [video_id, at_ms],
    ).fetchall()
    if not found:
        raise NotFound(f"Video {video_id} has no {kind.table} that others could be like.")
    [(number, recipe)] = found
    [(vector, scale)] = connection.execute(
        f"SELECT vector, scale FROM {kind.table} WHERE video_id = $1 AND {kind.number} = $2 AND vector IS NOT NULL LIMIT 1",
        [video_id, number],
    ).fetchall()
    wished = unpacked(pa.array([vector], pa.binary()), pa.array([scale], pa.float32()))[0]
    return NearQuery(wished, itself=(video_id, number), **options), [recipe]


def search(
    connection: duckdb.DuckDBPyConnection,
    kind: Kind,
    query: NearQuery,
    recipes: Sequence[str],
    likelihood: Callable[[float], float | None] = lambda similarity: None,
) -> dict[str, Any]:
    """The answer as `search --json` prints it (see the docs), but for its `query`: videos by the nearest of what they have, and of
    each the nearest first; of vectors that these `recipes` made.

    Every vector is compared with, a chunk at a time: what stays in memory is a number for each.
    """
    ids: list[str] = []
    none = (np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32))
    chunks = [none, *_compared(connection, kind, query, recipes, ids)]
    owner, item, near = (np.concatenate(column) for column in zip(*chunks, strict=True))
    best = np.full(len(ids), -np.inf, np.float32)
    np.maximum.at(best, owner, near)
    order = sorted(range(len(ids)), key=lambda n: (-float(best[n]), ids[n]))
    page = order[query.offset : query.offset + query.limit]
    chosen: dict[str, list[tuple[int, float]]] = {}
    for number in page:
        own = np.flatnonzero(owner == number)
        first = own[np.argsort(-near[own], kind="stable")][: query.moments]
        chosen[ids[number]] = [(int(item[at]), float(near[at])) for at in first]
    counts = np.bincount(owner, minlength=len(ids))
    shown = _shown(connection, kind, chosen, likelihood, query.within)
    videos = [{**shown[ids[n]], "score": round(float(best[n]), 4), "moments_total": int(counts[n])} for n in page]
    return answer_of(kind, query, "duckdb", (len(ids), int(counts.sum())), len(page), videos)


def answer_of(
    kind: Kind, query: NearQuery, engine: str, totals: tuple[int, int], passed: int, videos: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """An answer with these videos; `totals` are those of videos and of moments, `passed` is how many videos the page stands for."""
    following = query.offset + passed
    return {
        "query": "",
        "mode": kind.mode,
        "engine": engine,
        "fallback_reason": None,
        "total_videos": totals[0],
        "total_moments": totals[1],
        "next": following if passed and following < totals[0] else None,
        "videos": list(videos),
        "instead": None,
        "suggestions": [],
    }


def recipes_of(connection: duckdb.DuckDBPyConnection, kind: Kind, made_by: Mapping[str, Any]) -> list[str]:
    """The recipes that a model made: vectors of another one mean something else.

    Raises:
        Misconfigured: there are vectors, but none by this model.
    """
    rows = connection.execute(
        "SELECT DISTINCT recipe, options FROM stage_runs WHERE stage = $1", [kind.table]
    ).fetchall()
    fitting = [recipe for recipe, options in rows if made_by.items() <= (json.loads(options or "{}") or {}).items()]
    if rows and not fitting:
        raise Misconfigured(
            f"The {kind.table} of this archive were made by another model than {made_by['model']}.",
            next="Name that one, or make them anew: nightscribe index ... --refresh",
        )
    return fitting


def _compared(
    connection: duckdb.DuckDBPyConnection, kind: Kind, query: NearQuery, recipes: Sequence[str], ids: list[str]
) -> Iterator[tuple[Array, Array, Array]]:
    """Chunks of pictures or sounds: the number of each one's video, its own number in that, and its cosine with what is wished
    for. `ids` grows by their videos."""
    parameters: list[Any] = [list(recipes)]

    def value(given: object) -> str:
        parameters.append(given)
        return f"${len(parameters)}"

    conditions = [*query.filters.conditions(value), *([f"v.video_id = {value(query.video)}"] if query.video else [])]
    if query.itself is not None:
        video, number = query.itself
        conditions.append(f"NOT (v.video_id = {value(video)} AND f.{kind.number} = {value(number)})")
    if query.within is not None:
        times = [(video, start, end) for video, spans in query.within.items() for start, end in spans]
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE within_times (video_id VARCHAR, start_ms BIGINT, end_ms BIGINT)"
        )
        if times:
            connection.executemany("INSERT INTO within_times VALUES (?, ?, ?)", times)
        conditions.append(
            f"(f.video_id, f.{kind.number}) IN (SELECT (o.video_id, o.{kind.number}) FROM {kind.table} o "
            "JOIN within_times w ON w.video_id = o.video_id AND o.start_ms < w.end_ms AND o.end_ms > w.start_ms)"
        )
    sql = f"""
        SELECT f.video_id, f.{kind.number}, f.vector, f.scale
        FROM {kind.table} f JOIN current_{kind.table} c USING (video_id) JOIN videos v USING (video_id)
        WHERE f.vector IS NOT NULL AND list_contains($1, c.recipe) {"".join(f" AND {one}" for one in conditions)}
    """
    numbers: dict[str, int] = {}
    for batch in _read_ahead(connection.sql(sql, params=parameters).to_arrow_reader(CHUNK)):
        if not len(batch):
            continue
        videos = batch.column(0).dictionary_encode()
        for video in videos.dictionary.to_pylist():
            if video not in numbers:
                numbers[video] = len(ids)
                ids.append(video)
        of_batch = np.array([numbers[video] for video in videos.dictionary.to_pylist()], np.int32)
        near = products(batch.column(2), batch.column(3), query.wished)
        # A copy: what is seen of one column holds the memory of all of them, vectors too.
        yield of_batch[videos.indices.to_numpy()], batch.column(1).to_numpy().copy(), near


def _read_ahead(batches: Iterable[_T]) -> Iterator[_T]:
    """The same, of which the next one is read while one is compared with."""
    rest = iter(batches)
    with ThreadPoolExecutor(1) as reader:
        coming = reader.submit(next, rest, None)
        while (batch := coming.result()) is not None:
            coming = reader.submit(next, rest, None)
            yield batch


def _shown(
    connection: duckdb.DuckDBPyConnection,
    kind: Kind,
    chosen: Mapping[str, Sequence[tuple[int, float]]],
    likely: Callable[[float], float | None],
    within: Times | None,
) -> dict[str, dict[str, Any]]:
    """What is printed of each video, with its moments."""
    videos = connection.execute(
        "SELECT video_id, key, title, published_at, duration_ms FROM videos WHERE list_contains($1, video_id)",
        [list(chosen)],
    ).fetchall()
    rows = connection.execute(
        f"SELECT video_id, {', '.join((kind.number, 'start_ms', 'end_ms', *kind.told))} FROM {kind.table} "
        "WHERE list_contains($1, video_id) ORDER BY start_ms",
        [list(chosen)],
    ).fetchall()
    topics = topics_of(connection, list(chosen))
    times: dict[tuple[str, int], list[tuple[Any, ...]]] = {}
    for video_id, number, *row in rows:
        times.setdefault((video_id, number), []).append(tuple(row))
    shown = {}
    for video_id, key, title, published, duration in videos:
        moments = []
        for number, near in chosen[video_id]:
            own = times[video_id, number]
            if within is not None:
                spans = within[video_id]
                own = [row for row in own if any(row[0] < end and row[1] > start for start, end in spans)]
            _, _, *told = own[0]
            moments.append(moment_of(own, dict(zip(kind.told, told, strict=True)), near, likely))
        shown[video_id] = {
            "video_id": video_id,
            "key": key,
            "title": title,
            "published_at": iso(published),
            "duration_ms": duration,
            "topics": topics.get(video_id, []),
            "moments": moments,
        }
    return shown


def moment_of(
    times: Sequence[Sequence[int]],
    told: Mapping[str, Any],
    similarity: float,
    likely: Callable[[float], float | None],
) -> dict[str, Any]:
    """What is printed of a picture or a sound that is there at `times`, of which each begins with a start and an end."""
    likelihood = likely(similarity)
    return {
        "start_ms": times[0][0],
        "end_ms": times[0][1],
        "times": [time[0] for time in times],
        **told,
        "similarity": round(similarity, 4),
        "likelihood": None if likelihood is None else round(likelihood, 4),
    }
