"""Manifests: tables of clips or texts that models are trained and judged on, and what is wrong with their rows."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from tasks.errors import Misconfigured

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


def read_manifest(path: Path, *columns: str) -> pa.Table:
    """A CSV, TSV or Parquet manifest as a table of strings, which has these `columns`.

    Raises:
        Misconfigured: the file is missing, is none of the three, or lacks a column.
    """
    if not path.is_file():
        raise Misconfigured(f"There is no manifest {path}.", next="Name a CSV, TSV or Parquet file.")
    try:
        table = _read(path)
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise Misconfigured(
            f"{path} cannot be read as a table: {error}", next="Save it as CSV, TSV or Parquet."
        ) from error
    for column in columns:
        if column not in table.column_names:
            raise Misconfigured(
                f"{path} has no column {column!r}; it has {', '.join(table.column_names)}.",
                next="Say which columns to use: --path-column, --text-column, --label-column.",
            )
    return table


def _read(path: Path) -> pa.Table:
    if path.suffix == ".parquet":
        table = pyarrow.parquet.read_table(path)
        return pa.table(
            {name: column.cast(pa.string()) for name, column in zip(table.column_names, table.columns, strict=True)}
        )
    tabs = path.suffix in (".tsv", ".tab")
    parse = pa.csv.ParseOptions(delimiter="\t" if tabs else ",", quote_char=False if tabs else '"')
    parse.newlines_in_values = not tabs
    with pa.csv.open_csv(path, parse_options=parse) as reader:
        names = reader.schema.names
    # As they are written: of a column of names that look like numbers, 007 must not become 7.
    kinds = dict.fromkeys(names, pa.string())
    convert = pa.csv.ConvertOptions(strings_can_be_null=False, column_types=kinds)
    return pa.csv.read_csv(path, parse_options=parse, convert_options=convert)


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
