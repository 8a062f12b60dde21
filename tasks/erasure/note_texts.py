"""Notes beside the tables (folders that begin with an underscore) without what names a forgotten video."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.lake.files import read_bytes, replace, walk
from tasks.lake.store import Lake


def clean_notes(lake: Lake, keys: Sequence[str], clean: Callable[[str], str | None]) -> int:
    """Take rows with these keys out of plans, and let `clean` go over every JSON document; returns how many files changed."""
    changed = 0
    for path in walk(lake, lake.uri):
        below = path[len(lake.uri.split("://")[-1]) :].lstrip("/")
        # A name that begins with a dot is of a note whose writer was killed.
        note = path.endswith(".json") or path.rsplit("/", 1)[-1].startswith(".")
        if not below.startswith("_") or not (note or path.endswith(".parquet")):
            continue
        try:
            data = read_bytes(lake, path)
            new = (clean(data.decode()) or "").encode() if note else _without(data, keys)
        except (FileNotFoundError, ValueError):
            continue  # what it was for is done; or it is no note of ours
        if new != data:
            replace(lake, path, new)
            changed += 1
    return changed


def _without(data: bytes, keys: Sequence[str]) -> bytes:
    table = pq.read_table(io.BytesIO(data))
    if "key" not in table.column_names:
        return data
    left = table.filter(pc.invert(pc.is_in(table["key"], value_set=pa.array(keys, pa.string()))))
    if left.num_rows == table.num_rows:
        return data
    sink = io.BytesIO()
    pq.write_table(left, sink, row_group_size=20_000)
    return sink.getvalue()
