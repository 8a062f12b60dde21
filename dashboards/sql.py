"""Questions in SQL through the sandbox: as a page with a table, as CSV, as data."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any, TypeVar

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from dashboards import models
from dashboards.answers import csv_answer, json_answer
from dashboards.api import PROBLEMS
from dashboards.render import render
from dashboards.web import Web
from tasks.errors import BadQuery
from tasks.lake.answers import plain, python_rows
from tasks.lake.sandbox import run_query
from tasks.lake.schema import LEGACY, TABLES
from tasks.settings import REPO
from tasks.web.snapshots import View

LONGEST_SQL = 20_000
SHOWN_ROWS = 500
SHOWN_CELLS = 50_000  # of a page, which has at least one row
CSV_ROWS = 10_000
ANSWER_MB = 16

_T = TypeVar("_T")

router = APIRouter(prefix="/api/sql", responses=PROBLEMS)
page_router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class Answer:
    columns: list[str]
    rows: list[list[Any]]
    cut: bool


@router.post("", response_model=models.SqlAnswer)
async def ask(request: Request, body: models.Sql) -> Any:
    """The rows of one SELECT over the lake's views, limited in time, memory and number."""
    return await answer(Web.of(request), body.sql, body.rows, lambda found: json_answer(asdict(found)))


@page_router.get("/sql")
async def page(request: Request) -> Response:
    """The box, the schema and ready queries; with `q`, the answer."""
    web, asked = Web.of(request), request.query_params.get("q", "").strip()

    def made(found: Answer | None, error: BadQuery | None = None) -> str:
        if found is not None:
            fits = max(1, SHOWN_CELLS // max(1, len(found.columns)))
            found = Answer(found.columns, found.rows[:fits], found.cut or len(found.rows) > fits)
        return render(
            "sql.html", title="SQL", asked=asked, found=found, error=error, schema=schema(), queries=ready_queries(),
            settings=web.settings,
        )  # fmt: skip

    if not asked:
        return HTMLResponse(made(None))
    try:
        return HTMLResponse(await answer(web, asked, SHOWN_ROWS, made))
    except BadQuery as problem:
        return HTMLResponse(made(None, problem), 400)


@page_router.get("/sql/data.csv")
async def as_csv(request: Request) -> Response:
    """The answer as CSV."""
    asked = request.query_params.get("q", "").strip()
    return await answer(
        Web.of(request), asked, CSV_ROWS, lambda found: csv_answer("answer.csv", found.columns, found.rows)
    )


async def answer(web: Web, sql: str, most_rows: int, shown: Callable[[Answer], _T]) -> _T:
    """Run a query in the sandbox, on the snapshot of this moment, and make of its answer what is `shown`.

    Raises:
        BadQuery: see `run_query`. TooBusy: too many are run.
    """
    if len(sql) > LONGEST_SQL:
        raise BadQuery(f"The query has more than {LONGEST_SQL} characters.")
    settings = web.settings
    snapshot = await web.read(_snapshot)

    def asked() -> _T:
        done = run_query(
            web.lake, sql, seconds=settings.sql_seconds, memory_mb=settings.sql_memory_mb,
            rows=min(most_rows, settings.sql_rows), answer_mb=ANSWER_MB, snapshot=snapshot,
        )  # fmt: skip
        rows = [[plain(value) for value in row.values()] for row in python_rows(done.rows)]
        return shown(Answer(done.rows.column_names, rows, done.cut))

    return await web.query(asked)


def _snapshot(view: View) -> Any:
    return view.snapshot


@cache
def schema() -> dict[str, dict[str, str]]:
    """The views and the types of their columns."""
    transcripts = {"video_id": "VARCHAR", "generation": "BIGINT", "text": "VARCHAR", "folded": "VARCHAR"}
    columns = {name: columns | LEGACY.get(name, {}) for name, columns in TABLES.items()}
    return {"videos": columns.pop("videos"), "transcripts": transcripts, **columns}


@cache
def ready_queries() -> list[tuple[str, str]]:
    """Title and SQL of every query of docs/queries.md."""
    page = (REPO / "docs" / "queries.md").read_text(encoding="utf-8")
    found = []
    for part in re.split(r"^## ", page, flags=re.MULTILINE)[1:]:
        title, _, rest = part.partition("\n")
        found += [
            (title.strip(), sql.strip()) for sql in re.findall(r"^```sql\n(.*?)^```$", rest, re.DOTALL | re.MULTILINE)
        ]
    return found
