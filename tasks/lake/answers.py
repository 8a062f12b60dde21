"""Rows of an answer as JSON and CSV have them, wherever they are shown."""

from __future__ import annotations

import csv
import itertools
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

EXACT = 2**53
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
NUMBER = re.compile(r"-\d+(\.\d+)?([eE][-+]?\d+)?", re.ASCII)


def python_rows(rows: Any) -> list[dict[str, Any]]:
    """Rows of an Arrow table. Times that Python has no values for (nanoseconds, the year 12000) come as text."""
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


def csv_lines(columns: Sequence[str], rows: Iterable[Sequence[Any]], *, formulas: bool = True) -> Iterator[str]:
    """Lines of a CSV file, the names of the columns first; lists and dictionaries are JSON.

    Without `formulas`, a text or a name that a spreadsheet would take for one gets an apostrophe before it; numbers stay
    numbers, those too that `plain` has as texts.
    """

    def cell(value: Any) -> Any:
        value = plain(value)
        if isinstance(value, (list, dict)):
            return json.dumps(value, ensure_ascii=False)
        if formulas or not isinstance(value, str) or not value.startswith(FORMULA) or NUMBER.fullmatch(value):
            return value
        return f"'{value}"

    writer = csv.writer(_Line(), lineterminator="\n")
    for values in itertools.chain((columns,), rows):
        yield writer.writerow([cell(value) for value in values])


class _Line:
    """A file for `csv.writer`, whose `writerow` returns what `write` returns: the line."""

    def write(self, line: str) -> str:
        return line
