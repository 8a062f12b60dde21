"""The same content under another name: a renamed or copied object shares the rows that the lake has of it, until what they
were made of first is forgotten: then it gets rows of its own.

Two objects are the same when they have the same size, and

- the same name that a store vouches for: an ETag of S3 that is an MD5 of the content, or of its parts where it was uploaded
  in parts; a SHA-256 where local files are fingerprinted so (`checksum`). Nothing is read then. ETags that differ prove
  nothing: of one content there are several, by the size of its parts, and encryption makes others.
- or the same SHA-256. It is taken of every object that is indexed, and compared when the lake has another content of that
  size; the object is read for that, as it is for its words.

Sizes and times of local files, and ETags that look otherwise, are not trusted: they tell a file from what it was before,
and not from another file.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
import threading
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

from tasks.lake.maintain import withdraw
from tasks.lake.rewrite import among, each, rewrite
from tasks.lake.schema import KEY, arrow_schema
from tasks.lake.store import Lake
from tasks.lake.views import connect
from tasks.records import Recipes, VideoTask
from tasks.stages.registry import STAGES

Pair = tuple[str, str, int]  # a stage, and the video and generation whose rows they are
AT_ONCE = 200  # videos that get rows of their own together
_ETAG = "[0-9a-f]{32}(-[0-9]+)?"
_S3 = "s3a?://.*"
_SHA = "sha256-"
# The same as `content_name`, over rows of `videos`.
CONTENT_NAME = (
    f"CASE WHEN starts_with(fingerprint, '{_SHA}') THEN fingerprint "
    f"WHEN regexp_full_match(coalesce(bucket_uri, bucket), '{_S3}') AND regexp_full_match(fingerprint, '{_ETAG}') "
    "THEN 'etag-' || fingerprint END"
)


def with_recipes(videos: str) -> str:
    """Rows of `videos`, which SQL chooses, beside the recipes that they were heard by."""
    runs = "(SELECT video_id, generation, recipe FROM every_run WHERE stage = '{}' AND video_id IN (SELECT video_id FROM chosen))"
    return (
        f"(WITH chosen AS MATERIALIZED ({videos}) SELECT v.*, e.recipe AS emissions_recipe, w.recipe AS words_recipe FROM chosen v "
        f"LEFT JOIN {runs.format('emissions')} e ON e.video_id = v.video_id AND e.generation = v.transcript_generation "
        f"LEFT JOIN {runs.format('words')} w ON w.video_id = v.video_id AND w.generation = v.transcript_generation)"
    )


# Those whose words may be taken over: of these recipes, whatever came of them but a failure.
USABLE = (
    "status IN ('indexed', 'no_speech', 'no_audio') AND size_bytes > 0 AND emissions_recipe = $emissions "
    "AND (status = 'no_audio' OR words_recipe = $words)"
)


@dataclass(frozen=True)
class Copy:
    """A content that the lake knows already; `forgotten` when it must not be indexed."""

    video_id: str
    generation: int
    forgotten: bool


def content_name(bucket_uri: str, fingerprint: str) -> str | None:
    """The name of a content that its store vouches for; None where it does not."""
    if fingerprint.startswith(_SHA):
        return fingerprint
    if re.fullmatch(_S3, bucket_uri) and re.fullmatch(_ETAG, fingerprint):
        return f"etag-{fingerprint}"
    return None


def hashed(content: str | None) -> str | None:
    """A content's name from which nothing follows but that another is the same."""
    return None if content is None else hashlib.sha256(content.encode()).hexdigest()


def sha256_of(path: Path, fingerprint: str) -> str:
    """The SHA-256 of a file; of one that is fingerprinted by it, without reading it again."""
    if fingerprint.startswith(_SHA):
        return fingerprint.removeprefix(_SHA)
    with path.open("rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


class Contents:
    """What the lake knows at one moment, for the videos of a batch: opened when the first one asks, for all threads."""

    def __init__(self, lake: Lake) -> None:
        self._lake, self._lock = lake, threading.Lock()
        self._connection: duckdb.DuckDBPyConnection | None = None

    def cursor(self) -> duckdb.DuckDBPyConnection:
        with self._lock:
            if self._connection is None:
                self._connection = connect(self._lake)
            return self._connection.cursor()


def copy_of(contents: Contents, work: VideoTask, sha256: str, recipes: Recipes) -> Copy | None:
    """What the lake has of the same content by its hash: that it is forgotten, else the newest words of it.

    `Contents` whose files have gone meanwhile know of nothing.
    """
    with contextlib.suppress(duckdb.IOException):
        return _copy_of(contents, work, sha256, recipes)
    return None


def _copy_of(contents: Contents, work: VideoTask, sha256: str, recipes: Recipes) -> Copy | None:
    row = (
        contents.cursor()
        .execute(
            "SELECT video_id, generation, status = 'forgotten' "
            f"FROM {with_recipes('SELECT * FROM video_rows WHERE size_bytes = $size')} WHERE "
            f"((content_sha256 = $sha256 AND {USABLE}) OR (content_sha256 = $veiled AND status = 'forgotten' "
            "AND video_id <> $id)) ORDER BY status = 'forgotten' DESC, generation DESC LIMIT 1",
            {
                "size": work.size_bytes,
                "sha256": sha256,
                "veiled": hashed(sha256),
                "id": work.video_id,
                "emissions": recipes["emissions"],
                "words": recipes["words"],
            },
        )
        .fetchone()
    )
    return None if row is None else Copy(*row)


def hand_over(lake: Lake, ids: Sequence[str], among_them: Sequence[str] = ()) -> list[str]:
    """Give rows of their own to all videos that share those of `ids`, and are neither these nor `among_them`; returns them.

    Nobody can come to share them any more when the runs of `ids` have gone: a writer looks for the run that it knew them by.
    Content comes first, then in one commit the runs say that it is theirs: until then readers see the rows that are shared.
    Safe to be killed, and beside another one: the rows of each video are written once.
    """
    handed: dict[str, None] = {}
    while found := _sharing(connection := connect(lake, lean=True, history=False), [*ids, *among_them], ids):
        lost = [one for one in found if not _hand_over(lake, connection, one)]
        withdraw(lake, sorted({(one.video_id, one.generation) for one in lost}))
        kept = [one for one in found if one not in lost]
        keys = {(one.stage, one.video_id, one.generation) for one in kept}
        videos = sorted({one.video_id for one in kept})
        for start in range(0, len(videos), AT_ONCE):
            chunk = among("video_id", videos[start : start + AT_ONCE])
            rewrite(lake, "stage_runs", chunk, each("stage_runs", partial(_own, keys=keys)))
        handed |= dict.fromkeys(videos)
    return list(handed)


class _Copied(NamedTuple):
    """A run that shares rows; `seen` where it has a row of `videos`."""

    stage: str
    video_id: str
    generation: int
    taken_from: str
    taken_generation: int
    status: str
    seen: bool


def _sharing(connection: duckdb.DuckDBPyConnection, not_these: Sequence[str], ids: Sequence[str]) -> list[_Copied]:
    rows = connection.execute(
        "SELECT s.stage, s.video_id, s.generation, s.taken_from, s.taken_generation, r.status, v.video_id IS NOT NULL "
        "FROM shared_runs s JOIN every_run r USING (stage, video_id, generation) LEFT JOIN _videos v USING (video_id, generation) "
        "WHERE s.taken_from IN (SELECT unnest($ids)) AND s.video_id NOT IN (SELECT unnest($not_these)) ORDER BY ALL",
        {"ids": list(ids), "not_these": list(not_these)},
    )
    return [_Copied(*row) for row in rows.fetchall()]


def _hand_over(lake: Lake, connection: duckdb.DuckDBPyConnection, one: _Copied) -> bool:
    """Write the rows of a run anew under its own name; whether that is of use: nobody could ever forget them of a video without
    a row, and where there are none to share, there is nothing to show."""
    if not one.seen:
        return False
    n, tables = 0, STAGES[one.stage].tables
    for table in tables:
        columns = ", ".join(column for column in arrow_schema(table.name).names if column not in KEY)
        rows: Any = connection.sql(
            f"SELECT $video AS video_id, $generation AS generation, {columns} FROM _{table.name} "
            "WHERE video_id = $taken_from AND generation = $taken_generation",
            params={
                "video": one.video_id,
                "generation": one.generation,
                "taken_from": one.taken_from,
                "taken_generation": one.taken_generation,
            },
        ).to_arrow_table()
        n += len(rows)
        unit = hashlib.sha256(f"{table.name} {one}".encode()).hexdigest()[:32]
        lake.append(table.name, rows, batch_id=f"handed-{unit}")
    return n > 0 or one.status == "empty" or not tables


def _own(run: dict[str, Any], keys: Collection[tuple[str, str, int]]) -> dict[str, Any]:
    if (run["stage"], run["video_id"], run["generation"]) not in keys:
        return run
    return run | {"occasion": "visit", "taken_from": None, "taken_generation": None}


def sharing(connection: duckdb.DuckDBPyConnection, ids: Sequence[str], among_them: Sequence[str] = ()) -> int:
    """How many runs of videos other than these share rows of `ids`."""
    return len(_sharing(connection, [*ids, *among_them], ids))


def freed(connection: duckdb.DuckDBPyConnection, pairs: Collection[Pair]) -> list[tuple[str, str, int]]:
    """Tables, and the video and generation of rows in them, of which nobody is left who has or shares them."""
    found = []
    for stage, video_id, generation in sorted(pairs):
        row = connection.execute(
            "SELECT (SELECT count(*) FROM every_run WHERE stage = $stage AND video_id = $id AND generation = $at) + "
            "(SELECT count(*) FROM shared_runs WHERE stage = $stage AND taken_from = $id AND taken_generation = $at)",
            {"stage": stage, "id": video_id, "at": generation},
        ).fetchone()
        if row == (0,):
            found += [(table.name, video_id, generation) for table in STAGES[stage].tables]
    return found
