"""Delta's transaction log without texts: column statistics that some other program has put there are taken out again.

Nightscribe keeps minimum and maximum only of columns that are no texts. Another writer of the same tables may not.
Commits are changed in place and never removed: a writer that began before would otherwise write its own in their place.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.lake.files import read_bytes, replace, walk
from tasks.lake.schema import STATISTICS
from tasks.lake.store import Lake


@dataclass
class Log:
    """Files of a log that were read, and those that had texts."""

    read: int = 0
    cleaned: int = 0


def clean_log(lake: Lake, name: str) -> Log:
    """Take all statistics of other columns out of a table's commits and checkpoints."""
    done, allowed = Log(), frozenset(STATISTICS[name].split(","))
    for path in _log_files(lake, name):
        data = read_bytes(lake, path)
        done.read += 1
        try:
            clean = _commit(data, allowed) if path.endswith(".json") else _checkpoint(data, allowed)
        except (ValueError, pa.ArrowException):
            continue  # half written, by a killed writer; no reader takes it for a commit
        if clean is not None:
            replace(lake, path, clean)
            done.cleaned += 1
    return done


def _log_files(lake: Lake, name: str) -> list[str]:
    return [path for path in walk(lake, f"{lake.path(name)}/_delta_log") if path.endswith((".json", ".parquet"))]


def _commit(data: bytes, allowed: frozenset[str]) -> bytes | None:
    """A commit's lines with statistics of the allowed columns only; None where they are so already."""
    lines, changed = [], False
    for line in data.decode("utf-8").splitlines():
        action = json.loads(line) if line.strip() else {}
        for kind in ("add", "remove"):
            if isinstance(action, dict) and kind in action and action[kind].get("stats"):
                bare = _bare(action[kind]["stats"], allowed)
                if bare != action[kind]["stats"]:
                    action[kind]["stats"] = bare
                    line, changed = json.dumps(action, separators=(",", ":")), True
        lines.append(line)
    return ("\n".join(lines) + "\n").encode() if changed else None


def _bare(stats: str, allowed: frozenset[str]) -> str:
    found = json.loads(stats)
    bare = {
        key: {column: v for column, v in value.items() if column in allowed} if isinstance(value, dict) else value
        for key, value in found.items()
    }
    return stats if bare == found else json.dumps(bare, separators=(",", ":"))


def _checkpoint(data: bytes, allowed: frozenset[str]) -> bytes | None:
    """The same for a checkpoint, whose actions are columns of a Parquet file."""
    table = pq.read_table(io.BytesIO(data))
    changed = False
    for kind in ("add", "remove"):
        if kind not in table.column_names:
            continue
        column = table[kind].combine_chunks()
        if isinstance(column, pa.ChunkedArray):  # of an empty table
            continue
        children = dict(_children(column))
        if "stats" not in children:
            continue
        stats = children["stats"].to_pylist()
        bare = [None if s is None else _bare(s, allowed) for s in stats]
        if bare == stats:
            continue
        children["stats"] = pa.array(bare, children["stats"].type)
        if "stats_parsed" in children:  # the same once more, as columns
            children["stats_parsed"] = pa.nulls(len(column), children["stats_parsed"].type)
        fields = [column.type.field(name) for name in children]
        new = pa.StructArray.from_arrays(list(children.values()), fields=fields, mask=column.is_null())
        table = table.set_column(table.column_names.index(kind), table.schema.field(kind), new)
        changed = True
    if not changed:
        return None
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def _children(column: Any) -> Iterator[tuple[str, Any]]:
    for number in range(column.type.num_fields):
        yield column.type.field(number).name, column.field(number)
