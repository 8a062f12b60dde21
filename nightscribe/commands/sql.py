"""`nightscribe sql`."""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from nightscribe.common import console, lake_option, open_lake, settings_from
from tasks.lake.answers import csv_lines, plain, python_rows


@click.command("sql")
@click.argument("query")
@lake_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "csv", "json", "parquet"]),
    default="table",
    show_default=True,
    help="Form of the answer.",
)
@click.option("--limit", type=click.IntRange(min=1), help="At most so many rows.")
@click.option("--json", "as_json", is_flag=True, help="The same as --format json.")
def command(query: str, lake: str | None, form: str, limit: int | None, as_json: bool) -> int:
    """Run one SELECT over the lake: videos, transcripts, words, cues, topics, runs, and their history (videos_all, ...).

    \b
    Example:
      nightscribe sql "SELECT status, count(*) FROM videos GROUP BY ALL"
    """
    from tasks.lake.sandbox import run_query

    settings = settings_from(lake=lake)
    answer = run_query(
        open_lake(settings.lake),
        query,
        seconds=settings.sql_seconds,
        memory_mb=settings.sql_memory_mb,
        rows=limit or settings.sql_rows,
    )
    form = "json" if as_json else form
    {"table": _table, "csv": _csv, "json": _json, "parquet": _parquet}[form](answer.rows)
    if answer.cut:
        print(f"Only the first {answer.rows.num_rows} rows are shown; ask for more with --limit.", file=sys.stderr)
    return 0


def _json(rows: Any) -> None:
    json.dump(
        [{k: plain(v) for k, v in row.items()} for row in python_rows(rows)], sys.stdout, ensure_ascii=False, indent=1
    )
    sys.stdout.write("\n")


def _csv(rows: Any) -> None:
    sys.stdout.writelines(csv_lines(rows.column_names, (list(row.values()) for row in python_rows(rows))))


def _parquet(rows: Any) -> None:
    import pyarrow as pa
    import pyarrow.parquet

    if sys.stdout.isatty():
        raise click.UsageError("Parquet is not for a terminal: add > FILE.parquet")
    sink = pa.BufferOutputStream()
    pyarrow.parquet.write_table(rows, sink)
    sys.stdout.buffer.write(sink.getvalue())


def _table(rows: Any) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    numeric = [str(t).startswith(("int", "uint", "float", "double", "decimal")) for t in rows.schema.types]
    for name, right in zip(rows.column_names, numeric, strict=True):
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for row in python_rows(rows):
        table.add_row(*(Text("" if v is None else str(plain(v))) for v in row.values()))
    console().print(table)
