"""Manifests: tables of clips or texts that models are trained and judged on, and what is wrong with their rows."""

from __future__ import annotations

import csv
import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from tasks.errors import Misconfigured, first_line

_T = TypeVar("_T")
NAMED = 5  # problems named in a report, of each kind


@dataclass(frozen=True)
class Problems:
    """What a manifest's rows were left out for: kind, then the names."""

    found: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, name: str) -> None:
        self.found.setdefault(kind, []).append(name)

    def lines(self) -> list[str]:
        """One line a kind: how many, and the first few by name."""
        return [
            f"{kind}: {len(names)} ({', '.join(names[:NAMED])}{', ...' if len(names) > NAMED else ''})"
            for kind, names in self.found.items()
        ]


def read_manifest(path: Path, *columns: str, problems: Problems | None = None) -> pa.Table:
    """These `columns` of a CSV, TSV or Parquet manifest, as text. Lines with too many or few fields go to `problems`.

    Raises:
        Misconfigured: the file is missing, is none of the three, or lacks a column.
    """
    if not is_file(path):
        raise Misconfigured(f"There is no manifest {path}.", next="Name a CSV, TSV or Parquet file.")
    try:
        names = _columns(path)
        for column in columns:
            if names.count(column) != 1:
                has = "two columns" if column in names else "no column"
                raise Misconfigured(
                    f"{path} has {has} {column!r}; it has {', '.join(names)}.",
                    next="Say which columns to use: --path-column, --text-column, --label-column.",
                )
        return _read(path, list(dict.fromkeys(columns)), problems or Problems())
    except (pa.ArrowException, UnicodeDecodeError, csv.Error) as error:
        raise Misconfigured(
            f"{path} cannot be read as a table: {first_line(error)}", next="Save it as CSV, TSV or Parquet."
        ) from error


def _columns(path: Path) -> list[str]:
    if path.suffix == ".parquet":
        return list(pyarrow.parquet.read_schema(path).names)
    # Not by Arrow's streaming reader: its threads may outlive it and bring an ending process down.
    with path.open(encoding="utf-8-sig", newline="") as handle:
        if _tabs(path):
            return next(csv.reader(handle, delimiter="\t", quoting=csv.QUOTE_NONE), [])
        return next(csv.reader(handle), [])


def _tabs(path: Path) -> bool:
    return path.suffix in (".tsv", ".tab")


def _read(path: Path, columns: list[str], problems: Problems) -> pa.Table:
    if path.suffix == ".parquet":
        table = pyarrow.parquet.read_table(path, columns=columns)
        return pa.table({name: table[name].cast(pa.string()) for name in columns})
    # As they are written: of a column of names that look like numbers, 007 must not become 7.
    convert = pa.csv.ConvertOptions(
        strings_can_be_null=False, column_types=dict.fromkeys(columns, pa.string()), include_columns=columns
    )
    reading = pa.csv.ReadOptions(use_threads=False)
    return pa.csv.read_csv(path, reading, parse_options=_parsing(path, problems), convert_options=convert)


def _parsing(path: Path, problems: Problems) -> pa.csv.ParseOptions:
    tabs = _tabs(path)

    def skip(row: pa.csv.InvalidRow) -> str:
        problems.add(f"not {row.expected_columns} fields", row.text[:40])
        return "skip"

    return pa.csv.ParseOptions(
        delimiter="\t" if tabs else ",",
        quote_char=False if tabs else '"',
        newlines_in_values=not tabs,
        invalid_row_handler=skip,
    )


def is_file(path: Path) -> bool:
    """Whether there is such a file; a name that no file can have is one that is not there."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def strings(table: pa.Table, column: str) -> list[str]:
    """A column's values; what is missing is an empty text."""
    return [str(value or "").strip() for value in table[column].to_pylist()]


def fraction(text: str) -> float:
    """A fixed number in 0 to 1 for a text: what is split by it is split alike on every machine, copies together."""
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) / 2**32


def drawn(rows: Sequence[_T], n: int | None) -> list[_T]:
    """`n` of the rows in their order, the same ones every time; all without `n`."""
    if n is None or n >= len(rows):
        return list(rows)
    return [rows[i] for i in sorted(random.Random(0).sample(range(len(rows)), n))]
