"""The proof that nothing is left: every file of the lake is read, live or not."""

from __future__ import annotations

from collections.abc import Sequence

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from tasks.erasure.known import BURIED, Erased, KnownVideos
from tasks.erasure.traces import cleaned
from tasks.lake.copies import sharing
from tasks.lake.files import read_bytes, table_files
from tasks.lake.maintain import STAGED
from tasks.lake.schema import OF_VIDEOS, TABLES
from tasks.lake.store import Lake
from tasks.lake.views import connect


def verify(lake: Lake, known: KnownVideos, done: Erased, among_them: Sequence[str] = ()) -> None:
    """Look into every file of the lake's tables, live or not, for rows of the videos; what is found goes to `left`."""
    connection = connect(lake, lean=True, history=False)
    ids = {"ids": list(known.ids)}
    for name in OF_VIDEOS:
        row = connection.execute(
            f"SELECT count(*) FROM _{name} WHERE video_id IN (SELECT unnest($ids))", ids
        ).fetchone()
        if row and row[0]:
            done.left.append(f"{row[0]} rows of {name}: a run has written them meanwhile.")
    row = connection.execute(
        f"SELECT count(*) FROM _videos WHERE video_id IN (SELECT unnest($ids)) AND NOT ({BURIED})", ids
    ).fetchone()
    if row and row[0]:
        done.left.append(f"{row[0]} rows of videos: a run has written them meanwhile.")
    if shared := sharing(connection, known.ids, among_them):
        done.left.append(f"{shared} stage runs share its rows: a run has written them meanwhile.")
    for name in TABLES:
        live = {file.rsplit("/", 1)[-1] for file in lake.files(name)}
        done.checked_files += len(live)
        strange = 0
        for path in table_files(lake, name):
            if path.rsplit("/", 1)[-1] not in live:
                done.checked_files += 1
                strange += _has(lake, name, path, known, connection)
        if strange:
            done.left.append(
                f"{strange} files of {name} that no commit names: of a run under way, or of one that was killed. They are "
                "removed when they are older than sweep_grace_h."
            )


def _has(lake: Lake, name: str, path: str, known: KnownVideos, connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether a file may have something of the videos; one that is not whole may."""
    if not path.endswith(".parquet"):
        return STAGED in path.rsplit("/", 1)[-1]
    import io

    import pyarrow.parquet as pq

    try:
        data = read_bytes(lake, path)
    except FileNotFoundError:
        return False
    try:
        file = pq.ParquetFile(io.BytesIO(data))
        if "video_id" in TABLES[name]:
            return bool(pc.any(pc.is_in(file.read(["video_id"])["video_id"], value_set=pa.array(known.ids))).as_py())
        if "report_json" in TABLES[name]:
            texts = file.read(["report_json"])["report_json"].to_pylist()
            return any(cleaned(text, known.identifiers) != text for text in texts if text)
        if "word" in TABLES[name]:  # of whomever: words that the vocabulary has not may be theirs
            own = connection.cursor()
            own.register("strange", file.read(["language", "word"]))
            return bool(own.execute("FROM strange ANTI JOIN _vocabulary USING (language, word) LIMIT 1").fetchall())
    except pa.ArrowException:
        return True
    return False
