"""Care of the lake: compact small files, drop old generations, sweep what killed writers left, vacuum."""

from __future__ import annotations

import contextlib
import itertools
import logging
import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deltalake import CommitProperties

from tasks.lake.check import check
from tasks.lake.create import create_lake
from tasks.lake.files import table_files
from tasks.lake.schema import CONTENT, EVENTS_ONLY, TABLES
from tasks.lake.store import Lake, retry_commit, writer_properties
from tasks.lake.views import connect
from tasks.machine.scratch import sweep as sweep_scratch
from tasks.stages.registry import STAGES

log = logging.getLogger("nightscribe")
TARGET_BYTES = 128 << 20
DELETED_AT_ONCE = 20_000  # generations in one predicate
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
    create_lake(lake)
    if scratch is not None:
        done.swept_runs = sweep_scratch(scratch)
    done.expired_generations = expire(lake, keep_generations)
    done.swept_rows = sweep(lake, grace_h, keep_generations)
    if mended := mend_copies(lake, grace_h):
        done.notes.append(f"{mended} copies whose rows had gone are due again.")
    for name in TABLES:
        done.compacted[name] = compact(lake, name)
        done.vacuumed_files += len(vacuum(lake, name, grace_h))
    done.problems = check(lake)
    return done


def expire(lake: Lake, keep: int) -> int:
    """Delete all but the newest `keep` rows of `videos` of every video, and the runs that belong to none any more; returns
    how many generations went.

    The `videos` row goes first: from then on no view shows the generation, and the sweep finds its rows.
    """
    rows = (
        connect(lake, lean=True, history=False)
        .execute(
            "SELECT video_id, generation FROM video_rows "
            "QUALIFY row_number() OVER (PARTITION BY video_id ORDER BY generation DESC) > $keep",
            {"keep": keep},
        )
        .fetchall()
    )
    if rows:
        _delete(lake, "videos", rows)
        # Others may belong to a row of `videos` that is on its way.
        swept = _sweep_runs(
            lake, "generation < (SELECT min(generation) FROM _videos v WHERE v.video_id = r.video_id)", keep
        )
        log.debug("%d runs went with %d generations", swept, len(rows))
    return len(rows)


def sweep(lake: Lake, grace_h: float, keep: int = 1) -> dict[str, int]:
    """Delete runs that were not made with a row of `videos`, but for the newest `keep` of each stage, and content rows of no run,
    that are older than the grace (a generation is a time)."""
    before = _before(grace_h)
    swept = {"stage_runs": _sweep_runs(lake, f"generation < {before}", keep)}
    connection = connect(lake, lean=True, history=False)
    for name, (stage, _) in STAGES.tables.items():
        orphans = connection.execute(
            f"SELECT video_id, generation, count(*) FROM _{name} ANTI JOIN (SELECT video_id, generation FROM every_run "
            "WHERE stage = $stage UNION ALL SELECT taken_from, taken_generation FROM shared_runs WHERE stage = $stage) "
            "USING (video_id, generation) WHERE generation < $before GROUP BY ALL",
            {"before": before, "stage": stage.name},
        ).fetchall()
        swept[name] = sum(n for *_, n in orphans)
        _delete(lake, name, [(video_id, generation) for video_id, generation, _ in orphans])
    return swept


def _sweep_runs(lake: Lake, those: str, keep: int) -> int:
    """Delete those runs `r` that were not made with a row of `videos`, but for the newest `keep` of each stage: the last one
    says when that is tried again, or its row of `videos` is on its way. A failed one does not count against those that are shown."""
    rows = (
        connect(lake, lean=True, history=False)
        .execute(
            f"SELECT stage, video_id, generation FROM every_run r ANTI JOIN _videos USING (video_id, generation) "
            "ANTI JOIN (SELECT stage, video_id, generation FROM every_run SEMI JOIN _videos USING (video_id) QUALIFY row_number() OVER "
            "(PARTITION BY stage, video_id, status = 'failed' ORDER BY generation DESC) <= $keep) USING (stage, video_id, generation) "
            f"WHERE {those} ORDER BY stage",
            {"keep": keep},
        )
        .fetchall()
    )
    for stage, group in itertools.groupby(rows, key=lambda row: row[0]):
        _delete(lake, "stage_runs", [row[1:] for row in group], f"stage = '{stage}' AND ")
    return len(rows)


def withdraw(lake: Lake, pairs: Sequence[tuple[str, int]]) -> None:
    """Take generations of videos back, with all rows of their own, also of those in files that nobody names any more."""
    for name in ("videos", "stage_runs", *CONTENT):
        _delete(lake, name, pairs)
    for name in CONTENT:
        vacuum_dead(lake, name)


def mend_copies(lake: Lake, grace_h: float) -> int:
    """Take back what a killed writer left of copies whose rows have gone: the video is due again. Returns how many."""
    connection = connect(lake, lean=True, history=False)
    lost: set[tuple[str, int]] = set()
    for stage in (stage for stage in STAGES if stage.tables):
        gone = " AND ".join(
            f"NOT EXISTS (FROM _{table.name} t WHERE t.video_id = r.taken_from AND t.generation = r.taken_generation)"
            for table in stage.tables
        )
        lost |= set(
            connection.execute(
                "SELECT video_id, generation FROM every_run r WHERE occasion = 'copy' AND status = 'done' "
                f"AND stage = '{stage.name}' AND {gone}"
            ).fetchall()
        )
    # Of a writer at work the row of `videos` may be on its way.
    unseen = connection.execute(
        "SELECT DISTINCT video_id, generation FROM every_run ANTI JOIN _videos USING (video_id, generation) "
        "WHERE occasion = 'copy' AND generation < $before",
        {"before": _before(grace_h)},
    ).fetchall()
    if pairs := sorted(lost | set(unseen)):
        withdraw(lake, pairs)
    return len(pairs)


def vacuum_dead(lake: Lake, name: str) -> list[str]:
    """Remove the files that the log calls removed. Those of writers who have not committed yet are not among them."""
    time.sleep(0.002)  # what was removed in this millisecond is too young
    files: list[str] = retry_commit(
        lambda: lake.table(name).vacuum(retention_hours=0, dry_run=False, enforce_retention_duration=False, full=False),
        what=f"vacuum of {name}",
    )
    return files


def _before(grace_h: float) -> int:
    """The first generation that is younger than the grace: a generation is a time."""
    return (time.time_ns() // 1_000_000 - round(grace_h * 3_600_000)) * 1000


def _delete(lake: Lake, name: str, pairs: Sequence[tuple[str, int]], those: str = "") -> None:
    """Delete the rows of exactly these (video, generation).

    What is deleted together was made together: sorted by generation, few files have some of a part, and by the ranges delta-rs
    leaves out the others by their statistics. Videos of one batch may share a generation, so that only the last condition tells
    an old one from another video's newest.
    """
    ordered = sorted(pairs, key=lambda pair: (pair[1], pair[0]))
    for start in range(0, len(ordered), DELETED_AT_ONCE):
        part = ordered[start : start + DELETED_AT_ONCE]
        ids = [video_id for video_id, _ in part]
        both = ", ".join(f"'{video_id}/{generation}'" for video_id, generation in part)
        delete_rows(
            lake,
            name,
            f"{those}generation BETWEEN {part[0][1]} AND {part[-1][1]} AND video_id BETWEEN '{min(ids)}' AND '{max(ids)}' "
            f"AND video_id || '/' || CAST(generation AS STRING) IN ({both})",
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
