"""A door for SQL by strangers: one SELECT over the lake's views, in a process of its own that can do nothing else.

DuckDB's own switches are not enough (`COPY TO` writes in a read-only transaction, `interrupt()` does not stop a
`repeat`), so: a child process with a memory limit and a wall-clock kill; exactly one statement, and that a SELECT;
`allowed_paths` of the live files only, then no external access, then a locked configuration.

Run as a module it is the child: a JSON request on stdin, an Arrow stream on stdout.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import psutil
import pyarrow as pa

from tasks.errors import BadQuery
from tasks.lake.current import plain
from tasks.lake.remote import file_system
from tasks.lake.store import Lake
from tasks.lake.views import Snapshot, define_views
from tasks.settings import REPO

TRUNCATED, FAILED = 3, 4
MESSAGE_CHARS = 4000  # error('...') may say anything, at any length


@dataclass(frozen=True)
class Answer:
    """A query's rows; `cut` when there were more than allowed."""

    rows: pa.Table
    cut: bool


def run_query(
    lake: Lake,
    sql: str,
    *,
    seconds: float,
    memory_mb: int,
    rows: int,
    answer_mb: int | None = None,
    snapshot: Snapshot | None = None,
) -> Answer:
    """Run one SELECT in the sandbox. The caller holds the whole answer, of `answer_mb`, else `memory_mb`, at most.

    Raises:
        BadQuery: it is no single SELECT, is wrong, or needs more time or memory than allowed.
    """
    taken = snapshot or Snapshot.of(lake)
    request = {
        "sql": sql,
        "files": {name: list(files) for name, files in taken.files.items()},
        "version": taken.version,
        "older": taken.older,
        "memory_mb": memory_mb,
        "rows": rows,
        "answer_mb": answer_mb or memory_mb,
        "uri": None if lake.local else lake.uri,
    }
    command = [sys.executable, "-m", "tasks.lake.sandbox"]
    try:
        # Its folder is ours: in the user's, a file tasks.py would be imported instead of this package.
        done = subprocess.run(
            command,
            input=json.dumps(request).encode(),
            capture_output=True,
            timeout=seconds + 5,
            check=False,
            cwd=REPO,
            # Its other pools reserve a gigabyte of address space at once, which may be all that the limit leaves.
            env={**os.environ, "ARROW_DEFAULT_MEMORY_POOL": "system"},
        )
    except subprocess.TimeoutExpired as error:
        raise BadQuery(
            f"The query took longer than {seconds:g} seconds and was stopped.", next="Narrow it, or raise sql_seconds."
        ) from error
    if done.returncode not in (0, TRUNCATED):
        message = done.stderr.decode("utf-8", "replace").strip()
        if done.returncode != FAILED or "out of memory" in message.lower():
            message = f"The query needed more than {memory_mb} MB of memory and was stopped."
        raise BadQuery(message, next="The tables and columns: nightscribe sql 'FROM information_schema.columns'")
    with pa.ipc.open_stream(done.stdout) as reader:
        table = reader.read_all()
    return Answer(table.rename_columns(_distinct(table.column_names)), done.returncode == TRUNCATED)


def _distinct(names: Sequence[str]) -> list[str]:
    """Column names without doubles (`SELECT * FROM videos JOIN words ...` has some): `a`, `a_1`."""
    out: list[str] = []
    for name in names:
        new, n = name, 0
        while new in out or (n and new in names):
            n += 1
            new = f"{name}_{n}"
        out.append(new)
    return out


def guard(connection: duckdb.DuckDBPyConnection, files: Mapping[str, list[str]], memory_mb: int) -> None:
    """Close every door but the live files; nothing can open them again."""
    paths = [path for table in files.values() for path in table]
    quoted = ", ".join("'" + path.replace("'", "''") + "'" for path in paths)
    for statement in (
        "SET python_enable_replacements = false",
        "SET autoinstall_known_extensions = false",
        "SET autoload_known_extensions = false",
        f"SET memory_limit = '{memory_mb}MB'",
        "SET max_temp_directory_size = '0KiB'",
        "SET max_expression_depth = 250",
        f"SET allowed_paths = [{quoted}]",
        "SET enable_external_access = false",
        "SET lock_configuration = true",
    ):
        connection.execute(statement)


def only_select(connection: duckdb.DuckDBPyConnection, sql: str) -> duckdb.Statement:
    """The one SELECT in `sql`.

    Raises:
        BadQuery: none, several, or another statement.
    """
    try:
        sql.encode()
    except UnicodeEncodeError as error:
        raise BadQuery("The query is not UTF-8 text.") from error
    try:
        statements = connection.extract_statements(sql)
    except duckdb.Error as error:
        raise BadQuery(str(error)) from error
    if len(statements) != 1:
        raise BadQuery(f"One SELECT statement is allowed; this has {len(statements)}.")
    if statements[0].type != duckdb.StatementType.SELECT:
        raise BadQuery(f"Only SELECT is allowed, not {statements[0].type.name}.")
    return statements[0]


def _child() -> int:
    sys.stderr.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    request: dict[str, Any] = json.loads(sys.stdin.buffer.read())
    connection = duckdb.connect(":memory:", config={"threads": 2})
    connection.execute("SET TimeZone = 'UTC'")
    if request["uri"]:
        connection.execute("SET parquet_metadata_cache = true")
        named = (path for paths in request["files"].values() for path in paths)
        connection.register_filesystem(file_system(request["uri"], named))
    files = {name: tuple(paths) for name, paths in request["files"].items()}
    try:
        short = plain(request["sql"])
        snapshot = Snapshot(files, request["version"], older=request["older"])
        define_views(connection, snapshot, lean=short, history=not short)
        guard(connection, request["files"], request["memory_mb"])
        # Python, DuckDB and Arrow have taken more than a gigabyte of address space before any query.
        limit = psutil.Process().memory_info().vms + (request["memory_mb"] << 20)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        statement = only_select(connection, request["sql"])
        connection.execute("BEGIN TRANSACTION READ ONLY")
        # A relation streams; the result of execute() would be made in full before its first row is read.
        relation = connection.sql(statement)
        reader: Any = relation.to_arrow_reader(2048)
        left = int(request["rows"])
        room = request["answer_mb"] << 20
        code = 0
        with pa.ipc.new_stream(sys.stdout.buffer, reader.schema) as out:
            for batch in reader:
                if batch.num_rows > left:
                    out.write_batch(batch.slice(0, left))
                    code = TRUNCATED
                    break
                room -= batch.nbytes
                if room < 0:
                    raise BadQuery(f"The answer is larger than {request['answer_mb']} MB.")
                out.write_batch(batch)
                left -= batch.num_rows
        sys.stdout.buffer.flush()
        return code
    except (duckdb.Error, BadQuery, pa.ArrowException, OSError) as error:  # a stream's errors come as OSError
        print(str(error)[:MESSAGE_CHARS], file=sys.stderr)
        return FAILED
    except MemoryError:
        print("out of memory", file=sys.stderr)
        return FAILED
    except Exception as error:  # text that is no UTF-8, say
        print(f"{type(error).__name__}: {error}"[:MESSAGE_CHARS], file=sys.stderr)
        return FAILED


if __name__ == "__main__":
    sys.stdout.flush()
    code = _child()
    # Skip destructors: with no memory left they could hang.
    os._exit(code)
