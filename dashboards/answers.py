"""Answers that are made where their rows are, in a thread: a large one would keep everybody waiting in the event loop."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from starlette.responses import Response

from tasks.lake.answers import csv_lines


def json_answer(value: Any) -> Response:
    """A JSON document of what is JSON already."""
    body = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return Response(body.encode("utf-8", "replace"), 200, None, "application/json")


def csv_answer(name: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Response:
    """A CSV file to keep; texts that a spreadsheet would take for formulas are made plain."""
    body = "".join(csv_lines(columns, rows, formulas=False))
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(body, 200, headers, "text/csv; charset=utf-8")
