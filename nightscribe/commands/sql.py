"""`nightscribe sql`."""

from __future__ import annotations

import csv
import json
import sys
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import click

from nightscribe.common import console, lake_option, open_lake, settings_from

EXACT = 2**53


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
    from tasks.sandbox import run_query

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
        [{k: plain(v) for k, v in row.items()} for row in _python(rows)], sys.stdout, ensure_ascii=False, indent=1
    )
    sys.stdout.write("\n")


def _python(rows: Any) -> list[dict[str, Any]]:
    """Rows as dictionaries. Times that Python has no values for (nanoseconds, the year 12000) come as text."""
    try:
        found: list[dict[str, Any]] = rows.to_pylist()
    except (ValueError, OverflowError):
        import pyarrow as pa

        columns = [c.cast(pa.string()) if pa.types.is_temporal(c.type) else c for c in rows.columns]
        found = pa.Table.from_arrays(columns, rows.column_names).to_pylist()
    return found


def plain(value: Any) -> Any:
    """A value as JSON has it: integers beyond 2^53 and decimals as strings, instants as RFC 3339 with Z."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value if -EXACT <= value <= EXACT else str(value)
    if isinstance(value, Decimal):  # sums of integers come as decimals without a fraction
        return plain(int(value)) if value.as_tuple().exponent == 0 else str(value)
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else None
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, bytes):
        return value.hex()
    return value if isinstance(value, str) else str(value)


def _csv(rows: Any) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(rows.column_names)
    for row in _python(rows):
        writer.writerow(
            [
                json.dumps(plain(v), ensure_ascii=False) if isinstance(v, (list, dict)) else plain(v)
                for v in row.values()
            ]
        )


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
    for row in _python(rows):
        table.add_row(*(Text("" if v is None else str(plain(v))) for v in row.values()))
    console().print(table)
