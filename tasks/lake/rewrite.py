"""Replacing rows of a table in one commit, from a snapshot that nobody has changed meanwhile."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

import pyarrow as pa
from deltalake import CommitProperties, write_deltalake

from tasks.lake.schema import arrow_schema
from tasks.lake.store import Lake, retry_commit, writer_properties
from tasks.lake.views import connect_files

_ID = re.compile("[A-Za-z0-9-]+")


def rewrite(lake: Lake, name: str, predicate: str, change: Callable[[pa.Table], pa.Table]) -> None:
    """Put `change(rows)` in the place of the rows that fit; nothing is written where that is the same.

    The predicate stays in the table's log: it must have no text that may have to be forgotten.

    Raises:
        StorageBusy: other writers were faster every time.
    """
    schema = arrow_schema(name)

    def act() -> None:
        table = lake.table(name)
        connection = connect_files(lake, {name: lake.files(name, version=table.version())})
        found: Any = connection.sql(f"SELECT * FROM _{name} WHERE {predicate}").to_arrow_table()
        rows = found.select(schema.names).cast(schema)
        changed = change(rows)
        if changed.equals(rows):
            return
        write_deltalake(
            table,
            changed,
            mode="overwrite",
            predicate=predicate,
            schema_mode="merge",
            commit_properties=CommitProperties(max_commit_retries=0),
            writer_properties=writer_properties(name),
        )

    retry_commit(act, what=f"new rows of {name}")


def each(name: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[pa.Table], pa.Table]:
    """A change of a table of rows from one of a row."""
    return lambda rows: pa.Table.from_pylist([change(row) for row in rows.to_pylist()], schema=arrow_schema(name))


def among(column: str, values: Sequence[str]) -> str:
    """The condition that a column of ids has one of these values.

    Raises:
        ValueError: one is no id, and would have to be quoted.
    """
    if odd := [value for value in values if not _ID.fullmatch(value)]:
        raise ValueError(f"{odd[0]!r} is no id.")
    return f"{column} IN ({', '.join(repr(value) for value in values)})"
