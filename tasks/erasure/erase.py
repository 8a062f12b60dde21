"""Taking videos out of the lake for good: rows, history, vocabulary, reports, and every file that still has them.

The order makes it safe to be killed: a bare row comes first, from which on no view shows the video; what later steps
must know (its keys, its words) goes last. Run again, each step finds what is left of it.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import duckdb

from tasks.erasure.known import BURIED, Erased, KnownVideos
from tasks.erasure.log_texts import clean_log
from tasks.erasure.note_texts import clean_notes
from tasks.erasure.proof import verify
from tasks.erasure.traces import clean_reports, cleaned, drop_words, restore_words, said_elsewhere, vanishing
from tasks.lake.commit import new_generation
from tasks.lake.copies import Pair, content_name, freed, hand_over, hashed
from tasks.lake.maintain import delete_rows, vacuum, vacuum_dead
from tasks.lake.rewrite import among, each, rewrite
from tasks.lake.schema import OF_VIDEOS, TABLES
from tasks.lake.store import Lake
from tasks.lake.views import connect, connect_current
from tasks.records import Status

ID_OF = "substr(sha256({} || chr(0) || {}), 1, 20)"  # of bucket and key
UNFINISHED = "unfinished"  # the reason of a bare row, as long as something may be left


def known_of(lake: Lake, ids: Sequence[str], names: Sequence[str] = ()) -> KnownVideos:
    """Everything that rows of `videos` say of these videos, history included. Of `names` that are keys of videos which are
    forgotten already, what follows from them."""
    connection = connect_current(lake)
    given = connection.execute(
        "SELECT DISTINCT v.video_id, coalesce(v.bucket_uri, v.bucket), n.name FROM videos v, "
        "(SELECT unnest($names::VARCHAR[]) AS name) n WHERE v.video_id IN (SELECT unnest($ids)) "
        f"AND v.video_id = {ID_OF.format('v.bucket', 'n.name')} ORDER BY ALL",
        {"ids": list(ids), "names": list(names)},
    ).fetchall()
    found = connection.execute(
        "SELECT video_id, generation, bucket, coalesce(bucket_uri, bucket) AS bucket_uri, key, fingerprint, size_bytes, "
        f"language, content_sha256 FROM _videos WHERE video_id IN (SELECT unnest($ids)) AND NOT ({BURIED}) "
        "ORDER BY ALL",
        {"ids": list(ids)},
    )
    columns = [column[0] for column in found.description or ()]
    return KnownVideos(
        tuple(ids), tuple(dict(zip(columns, row, strict=True)) for row in found.fetchall()), tuple(map(tuple, given))
    )


def write_tombstones(lake: Lake, known: KnownVideos, status: Status) -> None:
    """Give each video its bare row. A video that has one as its newest row keeps it."""
    connection = connect_current(lake)
    newest = dict(
        connection.execute(
            f"SELECT video_id, (generation, {BURIED} AND status = $status) FROM videos WHERE video_id IN (SELECT unnest($ids))",
            {"ids": list(known.ids), "status": status},
        ).fetchall()
    )
    now = datetime.now(UTC)
    shared: dict[str, list[Pair]] = {}
    for video_id, *pair in connection.execute(
        "SELECT video_id, stage, taken_from, taken_generation FROM shared_runs WHERE video_id IN (SELECT unnest($ids)) ORDER BY ALL",
        {"ids": list(known.ids)},
    ).fetchall():
        shared.setdefault(video_id, []).append(tuple(pair))
    rows = []
    for video_id in known.ids:
        last, buried = newest.get(video_id, (0, False))
        if not buried:
            mine = [row for row in known.rows if row["video_id"] == video_id]
            # One that has gone before has no hash in its newest row.
            told = [row for row in mine if row["content_sha256"]] or [row for row in mine if name_of(row)] or mine
            bare = _bare_row(video_id, last, status, told[-1] if told else {}, now)
            rows.append(bare | {"error": json.dumps(shared[video_id]) if video_id in shared else None})
    lake.append("videos", rows, batch_id=f"forget-{hashlib.sha256(repr(rows).encode()).hexdigest()[:32]}")


def _shared_by(connection: duckdb.DuckDBPyConnection, ids: Sequence[str]) -> set[Pair]:
    """Whose rows these videos shared: as long as something may be left of them, their bare rows say it."""
    rows = connection.execute(
        f"SELECT error FROM _videos WHERE {BURIED} AND reason = '{UNFINISHED}' AND error IS NOT NULL "
        "AND video_id IN (SELECT unnest($ids))",
        {"ids": list(ids)},
    ).fetchall()
    return {(stage, video_id, generation) for (text,) in rows for stage, video_id, generation in json.loads(text)}


def _bare_row(video_id: str, last: int, status: Status, row: dict[str, Any], now: datetime) -> dict[str, Any]:
    return {
        "video_id": video_id,
        "generation": new_generation(last, time.time_ns() // 1_000_000),
        "bucket": row.get("bucket"),
        "bucket_uri": row.get("bucket_uri"),
        "key": "",
        "title": "",
        "title_words": "",
        "description": "",
        "tags": [],
        "status": status,
        "reason": UNFINISHED,
        "attempts": 0,
        "n_words": 0,
        # By these a copy under another name is known, and nothing else.
        "fingerprint": hashed(name_of(row)) if status == "forgotten" else None,
        "content_sha256": hashed(row.get("content_sha256")) if status == "forgotten" else None,
        "size_bytes": row.get("size_bytes") if status == "forgotten" else None,
        "indexed_at": now,
    }


def name_of(row: dict[str, Any]) -> str | None:
    """The name of a row's content that its store vouches for."""
    return content_name(row.get("bucket_uri") or "", row.get("fingerprint") or "")


def erase(lake: Lake, known: KnownVideos, *, grace_h: float, among_them: Sequence[str] = ()) -> Erased:
    """Remove everything but the bare rows. Rows that other videos share become theirs, unless these are `among_them` who are
    forgotten too. Afterwards no file of the lake has a word of them, unless `left` says so.

    Files that no snapshot names any more go at once: a query that is under way on an older snapshot may fail.
    """
    done = Erased()
    connection = connect(lake, lean=True, history=False)
    reports = clean_reports(lake, connection, known.identifiers)
    done.reports = sum(reports.values()) + clean_notes(
        lake, (*known.keys, *known.sidecars), lambda text: cleaned(text, known.identifiers)
    )
    those = among("video_id", known.ids)
    # The runs first: from then on no writer takes these rows over, and nobody but these videos keeps those that they shared.
    _remove(lake, "stage_runs", those, done)
    done.handed_over += hand_over(lake, known.ids, among_them)
    connection = connect_current(lake)
    rest = freed(connection, _shared_by(connection, known.ids))
    for name, video_id, generation in rest:
        _remove(lake, name, f"{among('video_id', [video_id])} AND generation = {generation}", done)
    words = vanishing(connect(lake, lean=True, history=False), known.ids)
    drop_words(lake, words)
    done.vocabulary = sum(map(len, words.values()))
    for name in OF_VIDEOS:
        _remove(lake, name, those, done)
    _remove(lake, "videos", f"{those} AND NOT ({BURIED})", done)
    _remove(lake, "videos", f"{those} AND {_not_newest(lake, known.ids)}", done)
    # By writers that came while we looked.
    back = said_elsewhere(connect(lake, lean=True, history=False), known.ids, words) if any(words.values()) else {}
    if back:
        restore_words(lake, back)
        done.vocabulary -= sum(map(len, back.values()))
    for name in TABLES:
        removed = [*vacuum_dead(lake, name), *vacuum(lake, name, grace_h)]
        if removed:
            done.files_removed[name] = len(removed)
        log = clean_log(lake, name)
        done.log_files += log.read
        done.log_cleaned += log.cleaned
    verify(lake, known, done, among_them)
    return done


def mark_erased(lake: Lake, known: KnownVideos) -> None:
    """Say in the bare rows that nothing is left; the last step."""
    rewrite(
        lake,
        "videos",
        among("video_id", known.ids),
        each("videos", lambda row: {**row, "reason": None, "error": None} if row["reason"] == UNFINISHED else row),
    )


def erasure_pending(connection: duckdb.DuckDBPyConnection) -> list[tuple[Status, list[str]]]:
    """Videos whose bare row is not settled, or has older rows beside it, by status: of them something was left."""
    return connection.execute(
        f"SELECT status, list(video_id ORDER BY video_id) FROM videos WHERE {BURIED} AND (reason = '{UNFINISHED}' OR video_id IN "
        "(SELECT video_id FROM _videos GROUP BY ALL HAVING count(*) > 1)) GROUP BY ALL ORDER BY ALL"
    ).fetchall()


def gone_before(connection: duckdb.DuckDBPyConnection, when: datetime) -> list[str]:
    """Videos that have not been in the bucket since then, and of which the lake still has something."""
    rows = connection.execute(
        f"SELECT video_id FROM videos WHERE status = 'gone' AND NOT ({BURIED}) AND indexed_at <= $when ORDER BY 1",
        {"when": when},
    ).fetchall()
    return [video_id for (video_id,) in rows]


def still_gone(connection: duckdb.DuckDBPyConnection, ids: Sequence[str]) -> list[str]:
    """Those of the videos that have not come back to the bucket."""
    rows = connection.execute(
        "SELECT video_id FROM videos WHERE status = 'gone' AND video_id IN (SELECT unnest($ids)) ORDER BY 1",
        {"ids": list(ids)},
    ).fetchall()
    return [video_id for (video_id,) in rows]


# -- rows and files ----------------------------------------------------------------------------------------------------


def _remove(lake: Lake, name: str, predicate: str, done: Erased) -> None:
    rows, files = delete_rows(lake, name, predicate)
    if rows:
        done.rows[name] = done.rows.get(name, 0) + rows
    if files:
        done.files_rewritten[name] = done.files_rewritten.get(name, 0) + files


def _not_newest(lake: Lake, ids: Sequence[str]) -> str:
    """The condition for all but the newest row of each."""
    rows = (
        connect_current(lake)
        .execute("SELECT video_id, generation FROM videos WHERE video_id IN (SELECT unnest($ids))", {"ids": list(ids)})
        .fetchall()
    )
    newest = ", ".join(f"'{video_id}/{generation}'" for video_id, generation in rows) or "''"
    return f"video_id || '/' || CAST(generation AS STRING) NOT IN ({newest})"
