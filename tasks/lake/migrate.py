"""Migrations of the lake: how one that an older Nightscribe wrote gets today's shape.

They run in order, when a command first writes to an older lake. The marker file names the version first, so that older
programs keep out from then on, and records each migration when it is done. Every step can be repeated: a migration that
was killed is run again from its beginning and finds the part that is done already.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock

from tasks.lake.rewrite import among, each, rewrite
from tasks.lake.schema import LAKE_VERSION
from tasks.lake.store import Lake
from tasks.lake.version3 import older_runs
from tasks.lake.views import connect_tables
from tasks.lake.vocabulary import add_words
from tasks.records import Word
from tasks.stages.passages.runner import passage_rows
from tasks.text.folding import fold_word, words_of

log = logging.getLogger("nightscribe")
CHUNK_WORDS = 200_000  # in memory at one time, unless one video has more
CHUNK_VIDEOS = 20_000
LOCK = ".migration.lock"


@dataclass(frozen=True)
class Migration:
    """What leads to a version of the lake. `run` must bear to be killed at any point and run again."""

    version: int
    name: str
    run: Callable[[Lake], None]


def migrate(lake: Lake) -> list[str]:
    """Run what is due; returns the names of the migrations. Two programs at once take turns on a local lake, and do no
    harm to each other on another.

    Raises:
        StorageBusy, LakeNotWritable.
    """
    with _alone(lake):
        marker = lake.marker() or {}
        done = list(marker.get("migrations", []))
        due = [m for m in MIGRATIONS if m.version > marker.get("version", 0) or m.version == marker.get("migrating")]
        for migration in due:
            log.info("The lake gets version %d: %s.", migration.version, migration.name)
            lake.write_marker({**marker, "version": migration.version, "migrating": migration.version})
            migration.run(lake)
            done.append(
                {
                    "version": migration.version,
                    "name": migration.name,
                    "at": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
                }
            )
            marker = {**marker, "version": migration.version, "migrations": done}
            marker.pop("migrating", None)
            lake.write_marker(marker)
    return [migration.name for migration in due]


@contextlib.contextmanager
def _alone(lake: Lake) -> Iterator[None]:
    if not lake.local:
        yield  # appends are told apart by their batch, and of two rewrites of a file one fails and looks again
        return
    with FileLock(Path(lake.uri, LOCK)):
        yield


# -- version 2: a transcript a video became passages, words are folded, and the archive has a vocabulary ----------------


def _passages(lake: Lake) -> None:
    rows = (
        connect_tables(lake, "videos")
        .execute(
            "SELECT video_id, sum(coalesce(n_words, 0))::BIGINT FROM _videos WHERE video_id IN "
            "(SELECT video_id FROM _videos WHERE n_passages IS NULL) GROUP BY ALL ORDER BY video_id"
        )
        .fetchall()
    )
    for ids in _chunks(rows):
        _passages_of(lake, ids)
    lake.remove_table("transcripts")


def _chunks(rows: Sequence[tuple[str, int]]) -> Iterator[list[str]]:
    chunk: list[str] = []
    words = 0
    for video_id, n in rows:
        if chunk and words + n > CHUNK_WORDS:
            yield chunk
            chunk, words = [], 0
        chunk.append(video_id)
        words += n
    if chunk:
        yield chunk


def _passages_of(lake: Lake, ids: list[str]) -> None:
    """Passages, vocabulary and folded words of a few videos; their rows of `videos` last, which say that it is done."""
    connection = connect_tables(lake, "videos", "words", "passages")
    languages = dict(
        connection.execute(
            "SELECT video_id || '/' || generation, language FROM _videos WHERE video_id IN (SELECT unnest($ids))",
            {"ids": ids},
        ).fetchall()
    )
    said: dict[tuple[str, int], list[Word]] = defaultdict(list)
    for video_id, generation, *word in connection.execute(
        "SELECT video_id, generation, word, start_ms, end_ms, confidence FROM _words w "
        "SEMI JOIN (SELECT video_id, generation FROM _videos) USING (video_id, generation) "
        "ANTI JOIN (SELECT video_id, generation FROM _passages) USING (video_id, generation) "
        "WHERE video_id IN (SELECT unnest($ids)) ORDER BY video_id, generation, word_no",
        {"ids": ids},
    ).fetchall():
        said[video_id, generation].append(Word(*word))
    batch = "migration-2-" + hashlib.sha256(repr(sorted(said)).encode()).hexdigest()[:32]
    folded = {key: {part for word in words for part in fold_word(word.word).split()} for key, words in said.items()}
    add_words(lake, [(languages[f"{v}/{g}"], parts) for (v, g), parts in folded.items()], batch_id=batch)
    passages = [
        {"video_id": video_id, "generation": generation, **row}
        for (video_id, generation), words in said.items()
        for row in passage_rows(words)
    ]
    lake.append("passages", passages, batch_id=batch)
    rewrite(lake, "words", among("video_id", ids), each("words", _fold))
    counts: dict[tuple[str, int], int] = {
        (video_id, generation): n
        for video_id, generation, n in connect_tables(lake, "passages")
        .execute(
            "SELECT video_id, generation, count(*) FROM _passages WHERE video_id IN (SELECT unnest($ids)) GROUP BY ALL",
            {"ids": ids},
        )
        .fetchall()
    }
    rewrite(lake, "videos", among("video_id", ids), each("videos", lambda row: _counted(row, counts)))


def _fold(row: dict[str, Any]) -> dict[str, Any]:
    folded = fold_word(row["word"])
    return {**row, "folded": None if folded == row["word"] else folded}


def _counted(row: dict[str, Any], counts: dict[tuple[str, int], int]) -> dict[str, Any]:
    return {
        **row,
        "n_passages": counts.get((row["video_id"], row["generation"]), 0),
        "title_words": " ".join(words_of(row["title"] or "")),
    }


# -- version 4: what was one commit for a video became one for each of its stages ---------------------------------------


def _stage_runs(lake: Lake) -> None:
    """A run of each stage for every generation; content stays as it is. Which videos go together depends on nothing but their
    number, which is the same for all who try."""
    connection = connect_tables(lake, "videos", "stage_runs")
    row = connection.execute("SELECT count(DISTINCT video_id) FROM _videos").fetchone()
    digits = next(n for n in range(9) if 16**n * CHUNK_VIDEOS >= (row[0] if row else 0))
    for prefix in map("".join, itertools.product("0123456789abcdef", repeat=digits)):
        runs: Any = connection.sql(
            f"SELECT * FROM ({older_runs(connection)}) WHERE starts_with(sha256(video_id), '{prefix}') "
            "ORDER BY stage, video_id, generation"
        )
        lake.append("stage_runs", runs.to_arrow_table(), batch_id=f"migration-4-{prefix}")


def _nothing(lake: Lake) -> None:
    """New columns and tables come by themselves; the version keeps out programs that do not know what they mean."""


MIGRATIONS = (
    Migration(2, "passages, folded words and the vocabulary", _passages),
    Migration(3, "contents of objects, hardware, and videos that are forgotten", _nothing),
    Migration(4, "a run for each stage of a video", _stage_runs),
)
assert [m.version for m in MIGRATIONS] == list(range(2, LAKE_VERSION + 1))
