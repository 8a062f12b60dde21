"""Search by what is to be seen: frames whose vectors are near that of a text, of a picture, or of what is made of several."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
from PIL import Image, UnidentifiedImageError

from tasks.arrays import Array
from tasks.errors import BadQuery, Misconfigured
from tasks.lake.store import Lake
from tasks.lake.views import Snapshot, connect
from tasks.models.catalog import find_set
from tasks.models.packing import unpacked
from tasks.pictures.encoder import PictureEncoder, load_picture_encoder
from tasks.search.answer import answer as words_answered
from tasks.search.filters import Filters
from tasks.search.shown import iso, topics_of
from tasks.settings import Settings

TABLES = ("videos", "stage_runs", "topics", "frames")  # that a search reads
CHUNK = 20_000  # vectors in memory at a time
MOST_SAID, MOST_MOMENTS = 1000, 100  # videos, and moments of each, of what is said that are looked at
SHORTEST = 1e-3  # of a sum of vectors that points anywhere
Times = Mapping[str, Sequence[tuple[int, int]]]  # by video, (start, end) in ms


@dataclass(frozen=True)
class Wish:
    """What is to be seen: texts and pictures in files, those that are added and those that are taken away.

    The arithmetic of vectors is that of Jia et al. 2021 (ALIGN): they are added, subtracted, and made one of unit length.
    """

    texts: tuple[str, ...] = ()
    pictures: tuple[Path, ...] = ()
    without: tuple[str, ...] = ()

    def __str__(self) -> str:
        added = [*(path.name for path in self.pictures), *self.texts]
        return " + ".join(added) + "".join(f" - {text}" for text in self.without)

    def vector(self, encoder: PictureEncoder) -> Array:
        """Shape (size,).

        Raises:
            BadQuery: nothing is wished for, what is taken away leaves nothing, or a file is no picture.
        """
        if not (self.texts or self.pictures):
            raise BadQuery("Nothing is said of what is to be seen.", next="Give --picture or --image.")
        rows = [encoder.texts(self.texts), *(_of_file(encoder, path)[None] for path in self.pictures)]
        total = np.concatenate(rows).sum(axis=0) - encoder.texts(self.without).sum(axis=0)
        length = float(np.linalg.norm(total))
        if length < SHORTEST:
            raise BadQuery("What is taken away leaves nothing to look for.", next="Take away less.")
        wished: Array = total / length
        return wished


@dataclass(frozen=True)
class PictureQuery:
    """A wish, in which videos it is looked for, and how much is shown. With `within`, only what is seen at these times."""

    wish: Wish
    filters: Filters = field(default_factory=Filters)
    video: str | None = None
    limit: int = 10
    offset: int = 0
    moments: int = 3
    within: Times | None = None


def answer(settings: Settings, lake: Lake, wish: Wish, *, text: str = "", **options: Any) -> dict[str, Any]:
    """What `search --json` prints of a search for pictures; with `text`, only of what is seen while that is said.

    `options` are those of `tasks.search.answer.answer`.

    Raises:
        BadQuery. Misconfigured. ModelNotAvailable.
    """
    encoder, made_by = encoder_of(settings)
    of_pictures = {name: options[name] for name in ("video", "limit", "offset", "moments") if name in options}
    filters = {one.name: options[one.name] for one in fields(Filters) if one.name in options}
    said = None
    if text:
        most = {"limit": MOST_SAID, "offset": 0, "moments": MOST_MOMENTS}
        said = words_answered(settings, lake, text, engine="duckdb", **(options | most))
    query = PictureQuery(wish, Filters(**filters), **of_pictures, within=_times(said))
    found = search(connect(lake, Snapshot.of(lake, TABLES), lean=True, history=False), query, encoder, made_by)
    told = {name: said[name] for name in ("instead", "suggestions")} if said else {}
    return {**found, **told, "query": " & ".join(filter(None, (text, found["query"])))}


def _times(said: Mapping[str, Any] | None) -> Times | None:
    """When it was said, by video."""
    if said is None:
        return None
    return {video["video_id"]: [(m["start_ms"], m["end_ms"]) for m in video["moments"]] for video in said["videos"]}


def encoder_of(settings: Settings) -> tuple[PictureEncoder, Mapping[str, Any]]:
    """The picture model of the settings' set, and what tells it from others in the lake's recipes.

    Raises:
        Misconfigured: the set has none. ModelNotAvailable.
    """
    chosen = find_set(settings)
    model = chosen.ref("pictures")
    if model is None:
        raise Misconfigured(
            f"The model set {chosen.name} has no model for pictures.",
            next="Name one in the catalogue (docs/models.md), and index with it: nightscribe index ... --stages frames",
        )
    encoder = load_picture_encoder(
        model.path, revision=model.revision, device=settings.device, precision=settings.precision
    )
    return encoder, {"model": model.name, "files": model.files, "revision": model.revision}


def search(
    connection: duckdb.DuckDBPyConnection, query: PictureQuery, encoder: PictureEncoder, made_by: Mapping[str, Any]
) -> dict[str, Any]:
    """The answer as `search --json` prints it (see the docs): videos by their best picture, the best pictures of each first.

    Every frame is compared with, a chunk at a time: what stays in memory is a number for each.

    Raises:
        BadQuery. Misconfigured: frames were made, but none by this model.
    """
    wished = query.wish.vector(encoder)
    ids: list[str] = []
    none = (np.zeros(0, np.int32), np.zeros(0, np.int32), np.zeros(0, np.float32))
    chunks = [none, *_compared(connection, query, _recipes(connection, made_by), wished, ids)]
    owner, picture, near = (np.concatenate(column) for column in zip(*chunks, strict=True))
    best = np.full(len(ids), -np.inf, np.float32)
    np.maximum.at(best, owner, near)
    order = sorted(range(len(ids)), key=lambda n: (-float(best[n]), ids[n]))
    page = order[query.offset : query.offset + query.limit]
    chosen: dict[str, list[tuple[int, float]]] = {}
    for number in page:
        own = np.flatnonzero(owner == number)
        first = own[np.argsort(-near[own], kind="stable")][: query.moments]
        chosen[ids[number]] = [(int(picture[at]), float(near[at])) for at in first]
    counts = np.bincount(owner, minlength=len(ids))
    shown = _shown(connection, chosen, encoder, query.within)
    following = query.offset + len(page)
    return {
        "query": str(query.wish),
        "mode": "picture",
        "engine": "duckdb",
        "fallback_reason": None,
        "total_videos": len(ids),
        "total_moments": int(counts.sum()),
        "next": following if page and following < len(ids) else None,
        "videos": [{**shown[ids[n]], "score": round(float(best[n]), 4), "moments_total": int(counts[n])} for n in page],
        "instead": None,
        "suggestions": [],
    }


def _recipes(connection: duckdb.DuckDBPyConnection, made_by: Mapping[str, Any]) -> list[str]:
    """The recipes of frames that a model made: vectors of another one mean something else."""
    rows = connection.execute("SELECT DISTINCT recipe, options FROM stage_runs WHERE stage = 'frames'").fetchall()
    fitting = [recipe for recipe, options in rows if made_by.items() <= (json.loads(options or "{}") or {}).items()]
    if rows and not fitting:
        raise Misconfigured(
            f"The frames of this archive were made by another picture model than {made_by['model']}.",
            next="Name that one, or make them anew: nightscribe index ... --refresh",
        )
    return fitting


def _compared(
    connection: duckdb.DuckDBPyConnection, query: PictureQuery, recipes: list[str], wished: Array, ids: list[str]
) -> Iterator[tuple[Array, Array, Array]]:
    """Chunks of pictures: the number of each one's video, its own number in that, and its cosine with what is wished for. `ids`
    grows by their videos."""
    parameters: list[Any] = [recipes]

    def value(given: object) -> str:
        parameters.append(given)
        return f"${len(parameters)}"

    conditions = [*query.filters.conditions(value), *([f"v.video_id = {value(query.video)}"] if query.video else [])]
    if query.within is not None:
        times = [(video, start, end) for video, spans in query.within.items() for start, end in spans]
        connection.execute(
            "CREATE OR REPLACE TEMP TABLE within_times (video_id VARCHAR, start_ms BIGINT, end_ms BIGINT)"
        )
        if times:
            connection.executemany("INSERT INTO within_times VALUES (?, ?, ?)", times)
        conditions.append(
            "(f.video_id, f.picture) IN (SELECT (o.video_id, o.picture) FROM frames o JOIN within_times w ON "
            "w.video_id = o.video_id AND o.start_ms < w.end_ms AND o.end_ms > w.start_ms)"
        )
    sql = f"""
        SELECT f.video_id, f.picture, f.vector, f.scale
        FROM frames f JOIN current_frames c USING (video_id) JOIN videos v USING (video_id)
        WHERE f.vector IS NOT NULL AND list_contains($1, c.recipe) {"".join(f" AND {one}" for one in conditions)}
    """
    numbers: dict[str, int] = {}
    reader = connection.sql(sql, params=parameters).to_arrow_reader(CHUNK)
    for batch in reader:
        if not len(batch):
            continue
        videos = batch.column(0).dictionary_encode()
        for video in videos.dictionary.to_pylist():
            if video not in numbers:
                numbers[video] = len(ids)
                ids.append(video)
        of_batch = np.array([numbers[video] for video in videos.dictionary.to_pylist()], np.int32)
        near = unpacked(batch.column(2), batch.column(3)) @ wished
        yield of_batch[videos.indices.to_numpy()], batch.column(1).to_numpy(), near.astype(np.float32)


def _shown(
    connection: duckdb.DuckDBPyConnection,
    chosen: Mapping[str, Sequence[tuple[int, float]]],
    encoder: PictureEncoder,
    within: Times | None,
) -> dict[str, dict[str, Any]]:
    """What is printed of each video, with its moments."""
    videos = connection.execute(
        "SELECT video_id, key, title, published_at, duration_ms FROM videos WHERE list_contains($1, video_id)",
        [list(chosen)],
    ).fetchall()
    spans = connection.execute(
        "SELECT video_id, picture, start_ms, end_ms, shot FROM frames WHERE list_contains($1, video_id) ORDER BY start_ms",
        [list(chosen)],
    ).fetchall()
    topics = topics_of(connection, list(chosen))
    times: dict[tuple[str, int], list[tuple[int, int, int]]] = {}
    for video_id, picture, *span in spans:
        times.setdefault((video_id, picture), []).append(tuple(span))
    shown = {}
    for video_id, key, title, published, duration in videos:
        moments = []
        for picture, near in chosen[video_id]:
            own = times[video_id, picture]
            if within is not None:
                own = [
                    span for span in own if any(span[0] < end and span[1] > start for start, end in within[video_id])
                ]
            start, end, shot = own[0]
            moments.append(
                {
                    "start_ms": start,
                    "end_ms": end,
                    "times": [span[0] for span in own],
                    "shot": shot,
                    "similarity": round(near, 4),
                    "likelihood": _rounded(encoder.likelihood(near)),
                }
            )
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


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _of_file(encoder: PictureEncoder, path: Path) -> Array:
    try:
        with Image.open(path) as picture:
            return encoder.of(picture)
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise BadQuery(f"{path} is no picture that can be read.", next="Give a JPEG or PNG file.") from error
