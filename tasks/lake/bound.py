"""The lake's views, bound once.

DuckDB binds a view when it is made, and with it every view that it names, down to the files: a tenth of a second for all of
ours, with empty tables in place of the files (with these it takes four times as long). A view that is copied from a database
is not bound again. So the first connection of a process makes its views, and the next ones take copies.
"""

from __future__ import annotations

import functools
import itertools
import logging
import tempfile
import threading
from pathlib import Path
from typing import NamedTuple

import duckdb

from tasks.lake.current import OF_CURRENT, define_current, find_current
from tasks.lake.schema import EVENTS_ONLY, kinds
from tasks.stages.registry import STAGES

logger = logging.getLogger(__name__)
_lock = threading.Lock()
_numbers = itertools.count()
_files: dict[Views, Path | None] = {}  # None: made once in a connection, and in no file yet


class Views(NamedTuple):
    """What makes the views of two connections the same, whatever files they read: arguments of `define_current`."""

    tables: tuple[str, ...]
    lean: bool
    history: bool
    shared: frozenset[str]


def bind(connection: duckdb.DuckDBPyConnection, views: Views) -> None:
    """Make the views in a connection without `_videos` and such, where `find_current` came before."""
    for name in views.tables:
        _stand_in(connection, name)
    define_current(connection, views.tables, views.shared, lean=views.lean, history=views.history)
    for name in (name for name in EVENTS_ONLY if name in views.tables):
        connection.execute(f"CREATE VIEW {name} AS SELECT {'DISTINCT *' if name == 'vocabulary' else '*'} FROM _{name}")
    for name in views.tables:
        connection.execute(f"DROP TABLE _{name}")


def bound_file(views: Views) -> Path | None:
    """A database with these views and nothing else, from the second time on that they are asked for."""
    with _lock:
        if views not in _files:
            _files[views] = None
        elif _files[views] is None:
            try:
                _files[views] = _make(views)
            except (OSError, duckdb.IOException) as error:
                logger.debug("No views are kept for the next connection: %s", error)
        return _files[views]


def copy_views(connection: duckdb.DuckDBPyConnection, file: Path) -> None:
    """The views of a `bound_file`, in an in-memory connection."""
    connection.execute(f"ATTACH '{file}' AS bound (READ_ONLY)")
    connection.execute("COPY FROM DATABASE bound TO memory (SCHEMA)")
    connection.execute("DETACH bound")


def _make(views: Views) -> Path:
    file = Path(_folder().name) / f"{next(_numbers)}.duckdb"
    with duckdb.connect(str(file)) as connection:
        connection.execute("BEGIN")
        for name in OF_CURRENT:
            _stand_in(connection, name)
        find_current(connection, older=False)
        for name in OF_CURRENT:
            connection.execute(f"DROP TABLE _{name}")
        bind(connection, views)
        for name in ("current_videos", "later_runs", "shared_runs"):
            connection.execute(f"DROP TABLE {name}")
        for name in ("every_run", *(f"shown_{name}" for name in STAGES.names)):
            connection.execute(f"DROP VIEW {name}")
        connection.execute("COMMIT")
    return file


@functools.cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="nightscribe-views-")


def _stand_in(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    columns = ", ".join(f'"{column}" {kind}' for column, kind in kinds(name).items())
    connection.execute(f"CREATE TABLE _{name} ({columns})")
