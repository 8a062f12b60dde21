"""Care of the lake: compact small files, drop old generations, sweep what killed writers left, vacuum, check."""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deltalake import CommitProperties

from tasks.lake.log_texts import table_files
from tasks.lake.schema import CONTENT, EVENTS_ONLY, TABLES
from tasks.lake.store import Lake, retry_commit, writer_properties
from tasks.lake.views import connect
from tasks.scratch import sweep as sweep_scratch

TARGET_BYTES = 128 << 20
STAGED = "#"  # in names of files that a writer has not finished
SMALL_FILES = 8  # fewer are not worth a rewrite
SORTED_BYTES = 256 << 20  # a larger table is not sorted as a whole: that reads and writes all of it, in memory


@dataclass
class Maintenance:
    """What `maintain --json` prints."""

    compacted: dict[str, int] = field(default_factory=dict)
    expired_generations: int = 0
    swept_rows: dict[str, int] = field(default_factory=dict)
    vacuumed_files: int = 0
    swept_runs: int = 0
    removed_indices: list[str] = field(default_factory=list)
    forgotten: int = 0
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def maintain(lake: Lake, *, keep_generations: int, grace_h: float, scratch: Path | None = None) -> Maintenance:
    """Expire, sweep, compact and vacuum; remove what killed runs left in `scratch`.

    Safe beside writers and readers, and to be killed and run again.

    Nothing younger than `grace_h` hours is swept or vacuumed: it may belong to a batch that is not committed yet.
    """
    done = Maintenance()
    lake.create()
    if scratch is not None:
        done.swept_runs = sweep_scratch(scratch)
    done.expired_generations = expire(lake, keep_generations)
    done.swept_rows = sweep(lake, grace_h)
    for name in TABLES:
        done.compacted[name] = compact(lake, name)
        done.vacuumed_files += len(vacuum(lake, name, grace_h))
    done.problems = check(lake)
    return done


def expire(lake: Lake, keep: int) -> int:
    """Delete all but the newest `keep` generations of every video; returns how many generations went.

    The `videos` row goes first: from then on no view shows the generation, and the sweep finds its rows.
    """
    rows = (
        connect(lake)
        .execute(
            "SELECT video_id, generation FROM videos_all "
            "QUALIFY row_number() OVER (PARTITION BY video_id ORDER BY generation DESC) > $keep",
            {"keep": keep},
        )
        .fetchall()
    )
    for predicate in _predicates(rows):
        for name in ("videos", *CONTENT):
            delete_rows(lake, name, predicate)
    return len(rows)


def sweep(lake: Lake, grace_h: float) -> dict[str, int]:
    """Delete content rows that have no `videos` row and are older than the grace (a generation is a time)."""
    before = (time.time_ns() // 1_000_000 - round(grace_h * 3_600_000)) * 1000
    connection = connect(lake)
    swept = {}
    for name in CONTENT:
        orphans = connection.execute(
            f"SELECT video_id, generation, count(*) FROM _{name} ANTI JOIN (SELECT video_id, generation FROM _videos) "
            "USING (video_id, generation) WHERE generation < $before GROUP BY ALL",
            {"before": before},
        ).fetchall()
        swept[name] = sum(n for *_, n in orphans)
        for predicate in _predicates([(video_id, generation) for video_id, generation, _ in orphans]):
            delete_rows(lake, name, predicate)
    return swept


def _predicates(pairs: Sequence[tuple[str, int]], size: int = 500) -> Iterator[str]:
    """Conditions for exactly these (video, generation), so many at a time.

    Videos of one batch may share a generation: only the last part tells an old one from another video's newest. The
    first two let delta-rs leave out files by their statistics.
    """
    for start in range(0, len(pairs), size):
        chunk = pairs[start : start + size]
        generations = ", ".join(sorted({str(generation) for _, generation in chunk}))
        ids = ", ".join(sorted({f"'{video_id}'" for video_id, _ in chunk}))
        both = ", ".join(f"'{video_id}/{generation}'" for video_id, generation in chunk)
        yield (
            f"generation IN ({generations}) AND video_id IN ({ids}) "
            f"AND video_id || '/' || CAST(generation AS STRING) IN ({both})"
        )


def delete_rows(lake: Lake, name: str, predicate: str) -> tuple[int, int]:
    """Delete rows; returns how many there were, and of how many files. The predicate stays in the table's log."""
    written = writer_properties(name)
    metrics = retry_commit(
        lambda: lake.table(name).delete(predicate, writer_properties=written), what=f"delete from {name}"
    )
    return int(metrics.get("num_deleted_rows") or 0), int(metrics.get("num_removed_files") or 0)


def compact(lake: Lake, name: str) -> int:
    """Join small files into ones of about 128 MB; returns how many files went.

    A small table is written anew, sorted by video. Of a large one the small files only are joined, in the order in which
    they came: time and memory do not grow with the archive.
    """
    sizes = _sizes(lake.table(name))
    small = [size for size in sizes if size < TARGET_BYTES // 2]
    if len(small) < SMALL_FILES:
        return 0
    properties, written = CommitProperties(max_commit_retries=15), writer_properties(name)

    def act() -> dict[str, Any]:
        optimizer = lake.table(name).optimize
        if name in EVENTS_ONLY or sum(sizes) > SORTED_BYTES:
            return optimizer.compact(target_size=TARGET_BYTES, writer_properties=written, commit_properties=properties)
        return optimizer.z_order(
            ["video_id"], target_size=TARGET_BYTES, writer_properties=written, commit_properties=properties
        )

    metrics = retry_commit(act, what=f"compaction of {name}")
    return int(metrics.get("numFilesRemoved", 0))


def _sizes(table: Any) -> list[int]:
    actions = table.get_add_actions(flatten=True)
    return [int(size) for size in actions.column("size_bytes").to_pylist()]


def vacuum(lake: Lake, name: str, grace_h: float) -> list[str]:
    """Remove files that no snapshot of the last `grace_h` hours names, those of killed writers too."""
    files: list[str] = retry_commit(
        lambda: lake.table(name).vacuum(
            retention_hours=max(0, math.ceil(grace_h)), dry_run=False, enforce_retention_duration=False, full=True
        ),
        what=f"vacuum of {name}",
    )
    return [*files, *_unfinished(lake, name, grace_h)]


def _unfinished(lake: Lake, name: str, grace_h: float) -> list[str]:
    """Remove files that a writer on a local lake was killed over: no listing of Delta's shows them, and they have words."""
    removed = []
    for path in table_files(lake, name) if lake.local else ():
        if STAGED in path.rsplit("/", 1)[-1]:
            with contextlib.suppress(FileNotFoundError):  # finished meanwhile
                if time.time() - os.stat(path).st_mtime >= grace_h * 3600:
                    os.unlink(path)
                    removed.append(path)
    return removed


def check(lake: Lake) -> list[str]:
    """What is wrong in the lake, as sentences; empty when all is well.

    Every committed generation has as many cues and words as its row says, a video has each generation once, words lie in
    their cues and in order.
    """
    connection = connect(lake)
    problems = []
    for name, column in (("words", "n_words"), ("cues", "n_cues"), ("passages", "n_passages")):
        rows = connection.execute(
            f"SELECT v.video_id, v.generation, v.{column}, coalesce(c.n, 0) FROM videos_all v "
            f"LEFT JOIN (SELECT video_id, generation, count(*) AS n FROM {name}_all GROUP BY ALL) c USING (video_id, generation) "
            f"WHERE coalesce(v.{column}, 0) <> coalesce(c.n, 0)"
        ).fetchall()
        problems += [
            f"Video {v}, generation {g}: its row says {n} {name}, there are {found}." for v, g, n, found in rows
        ]
    queries = {
        "has generation {1} more than once": "SELECT video_id, generation FROM videos_all GROUP BY ALL HAVING count(*) > 1",
        "generation {1}, has a word twice": "SELECT video_id, generation, word_no FROM words_all GROUP BY ALL HAVING count(*) > 1",
        "generation {1}, has a cue twice": "SELECT video_id, generation, cue_no FROM cues_all GROUP BY ALL HAVING count(*) > 1",
        "generation {1}, has words that do not follow each other": "SELECT video_id, generation FROM words_all GROUP BY ALL "
        "HAVING min(word_no) <> 0 OR max(word_no) <> count(*) - 1",
        "generation {1}, has words out of time": "SELECT DISTINCT video_id, generation FROM (SELECT *, lag(start_ms) OVER "
        "(PARTITION BY video_id, generation ORDER BY word_no) AS before FROM words_all) "
        "WHERE start_ms < before OR end_ms < start_ms",
        "generation {1}, has words outside their cue": "SELECT DISTINCT w.video_id, w.generation FROM words_all w "
        "LEFT JOIN cues_all c USING (video_id, generation, cue_no) "
        "WHERE c.cue_no IS NULL OR w.start_ms < c.start_ms - 1 OR w.start_ms > c.end_ms",
        "generation {1}, has passages that are not its words": "SELECT v.video_id, v.generation FROM videos_all v LEFT JOIN "
        "(SELECT video_id, generation, sum(last_word - first_word + 1) AS n, max(last_word) AS last, "
        "count(DISTINCT passage_no) AS passages FROM passages_all GROUP BY ALL) p USING (video_id, generation) "
        "WHERE coalesce(v.n_words, 0) <> coalesce(p.n, 0) OR p.last <> p.n - 1",
    }
    for sentence, sql in queries.items():
        problems += [f"Video {row[0]} {sentence.format(*row)}." for row in connection.execute(sql).fetchall()]
    return problems
