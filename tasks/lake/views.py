"""DuckDB over a snapshot of the lake: views of what is current, and of all there ever was.

`videos` and the tables of the stages show the newest of each video, `videos_all` and so on what was the newest at each
generation of it (tasks/lake/current.py). A snapshot is the list of live files at one moment, so that every query of a
connection sees the same lake, whatever is committed or compacted meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import duckdb
from deltalake.exceptions import DeltaError

from tasks.errors import LakeTooOld, LakeUnreadable, StorageBusy, first_line
from tasks.lake.bound import Views, bind, bound_file, copy_views
from tasks.lake.current import OF_CURRENT, find_current, sharing
from tasks.lake.remote import file_system
from tasks.lake.schema import PARTITIONED, TABLES, kinds
from tasks.lake.store import Lake, live_files

_T = TypeVar("_T")
SNAPSHOT_TRIES = 10  # against writers that commit several times a second
RESTORE = "Bring the lake's files back from a copy, or name another lake with --lake."


@dataclass(frozen=True)
class Snapshot:
    """Live files of some tables at one moment, and the versions of `videos` and of the stage runs that they belong to.
    `older`: of a lake that has not today's form yet. There are views of these `tables` alone."""

    files: Mapping[str, tuple[str, ...]]
    version: int
    runs_version: int = 0
    older: bool = False
    tables: tuple[str, ...] = tuple(TABLES)

    @classmethod
    def of(cls, lake: Lake, tables: tuple[str, ...] = tuple(TABLES)) -> Snapshot:
        """Take one of these tables; `videos` and the stage runs are always among them. `videos` is read first, then the stage
        runs: what is seen there has all its content committed already.

        When one of them has moved on meanwhile, all is read again: `maintain` may have removed what a newer generation replaced.

        Raises:
            Misconfigured: there is no lake. LakeTooNew. LakeTooOld: it lacks what readers need. LakeUnreadable: its
            log is damaged.
        """
        lake.check_version()
        for _ in range(SNAPSHOT_TRIES):
            first = [_asked(lake, name, lake.find_table) for name in OF_CURRENT]
            versions = [0 if table is None else int(table.version()) for table in first]
            files = {name: live_files(table) for name, table in zip(OF_CURRENT, first, strict=True)}
            files |= _all_files(lake, [name for name in tables if name not in OF_CURRENT])
            if [_asked(lake, name, lake.version) for name in OF_CURRENT] == versions:
                break
        older = lake.outdated()
        if older:
            _check_shape(lake, files["videos"])
        kept = {name: tuple(found) for name, found in files.items()}
        return cls(kept, versions[0], versions[1], older, tuple(name for name in TABLES if name in files))


def _asked(lake: Lake, name: str, ask: Callable[[str], _T]) -> _T:
    """What the lake says of a table.

    Raises:
        LakeUnreadable: its log is damaged. StorageBusy: it does not answer.
    """
    try:
        return ask(name)
    except DeltaError as error:
        raise LakeUnreadable(
            f"The table {lake.path(name)} cannot be read: {first_line(error)}", next=RESTORE
        ) from error
    except OSError as error:  # delta-rs has asked for three minutes
        raise StorageBusy(
            f"The table {lake.path(name)} cannot be read: {first_line(error)}", next="Run the same command again."
        ) from error


def _all_files(lake: Lake, names: Sequence[str]) -> dict[str, list[str]]:
    """The live files of several tables; of a lake far away they are asked for at the same time."""

    def of(name: str) -> list[str]:
        return _asked(lake, name, lake.files)

    if lake.local:
        return {name: of(name) for name in names}
    with ThreadPoolExecutor(max(1, len(names))) as pool:
        return dict(zip(names, pool.map(of, names), strict=True))


NOTHING = Snapshot({}, 0)  # of a lake that is not there yet


def _check_shape(lake: Lake, videos: Sequence[str]) -> None:
    """An older lake can be read as it is, unless it has videos whose words no view would show."""
    connection = connect_files(lake, {"videos": videos})
    sql = "SELECT count(*) FROM _videos WHERE n_words > 0 AND n_passages IS NULL AND acoustic_recipe IS NOT NULL"
    row = connection.execute(sql).fetchone()
    if row and row[0]:
        raise LakeTooOld(
            f"The lake {lake.uri} was written by an older Nightscribe, and {row[0]} indexings in it have not today's form "
            "yet. Nothing was changed.",
            next="nightscribe maintain",
        )


def connect(
    lake: Lake, snapshot: Snapshot | None = None, *, lean: bool = False, history: bool = True
) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB with the lake's views, on one snapshot; `lean` and `history` as in `define_current`. Times are shown in UTC."""
    snapshot = snapshot or Snapshot.of(lake)
    connection = _connection(lake, snapshot.files)
    try:
        define_views(connection, snapshot, lean=lean, history=history)
    except duckdb.Error as error:
        raise LakeUnreadable(f"The lake cannot be read: {first_line(error)}", next=RESTORE) from error
    return connection


def connect_current(lake: Lake) -> duckdb.DuckDBPyConnection:
    """The views of videos and stage runs alone, as they are now: nothing of what was made of them is opened."""
    return connect(lake, Snapshot.of(lake, OF_CURRENT), lean=True, history=False)


def connect_tables(lake: Lake, *names: str) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB with the rows of a few tables as they were written (`_words`), and no other view."""
    return connect_files(lake, {name: lake.files(name) for name in names})


def connect_files(lake: Lake, files: Mapping[str, Sequence[str]]) -> duckdb.DuckDBPyConnection:
    """The same of these files of each table."""
    connection = _connection(lake, files)
    for name, listed in files.items():
        connection.execute(f"CREATE VIEW _{name} AS {_source(name, listed)}")
    return connection


def _connection(lake: Lake, files: Mapping[str, Sequence[str]]) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(":memory:")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET parquet_metadata_cache = true")  # a file of a Delta table never changes
    if not lake.local:
        connection.register_filesystem(file_system(lake.uri, (file for listed in files.values() for file in listed)))
    return connection


def quoted(text: str) -> str:
    """A text as an SQL literal. DuckDB knows no other escape in it than the doubled quotation mark."""
    return "'" + text.replace("\x00", "").replace("'", "''") + "'"


def damage(error: BaseException) -> LakeUnreadable | None:
    """What DuckDB's error means, if it comes from a damaged or missing file of the lake."""
    # A damaged page comes as the base class itself, where wrong SQL has classes of its own.
    kinds = (duckdb.IOException, duckdb.InvalidInputException, duckdb.SerializationException)
    if isinstance(error, kinds) or type(error) is duckdb.Error:
        return LakeUnreadable(f"The lake cannot be read: {first_line(error)}", next=RESTORE)
    return None


def define_views(
    connection: duckdb.DuckDBPyConnection, snapshot: Snapshot, *, lean: bool = False, history: bool = True
) -> None:
    """Make the views of `snapshot` in a connection. What is current is found at once; all the rest is lazy."""
    sources = {name: _source(name, snapshot.files.get(name, ())) for name in snapshot.tables}
    for name in OF_CURRENT:
        connection.execute(f"CREATE VIEW _{name} AS {sources[name]}")
    find_current(connection, older=snapshot.older)
    views = Views(snapshot.tables, lean, history, frozenset(sharing(connection)))
    # Runs of an older lake are put together otherwise.
    if not snapshot.older and (file := bound_file(views)):
        copy_views(connection, file)
    else:
        for name in OF_CURRENT:
            connection.execute(f"DROP VIEW _{name}")
        bind(connection, views)
        for name in OF_CURRENT:
            connection.execute(f"CREATE VIEW _{name} AS {sources[name]}")
    for name in (name for name in snapshot.tables if name not in OF_CURRENT):
        connection.execute(f"CREATE VIEW _{name} AS {sources[name]}")


def _source(name: str, files: Sequence[str]) -> str:
    """The rows of a table's files, with every column of its schema even where a file is older than a column."""
    columns = ", ".join(f"NULL::{kind} AS {column}" for column, kind in kinds(name).items())
    empty = f"SELECT {columns} WHERE false"
    if not files:
        return empty
    listed = ", ".join(map(quoted, files))
    # What a table is partitioned by stands in the names of its folders alone.
    parts = ", hive_partitioning = true, hive_types_autocast = false" if name in PARTITIONED else ""
    return f"{empty} UNION ALL BY NAME SELECT * FROM read_parquet([{listed}], union_by_name = true{parts})"
