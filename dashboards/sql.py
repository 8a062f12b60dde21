"""Questions in SQL through the sandbox: as a page with a table, as CSV, as data."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from dashboards import models
from dashboards.analytics import csv_answer
from dashboards.api import PROBLEMS
from dashboards.render import render
from dashboards.web import QUERIES_AT_ONCE, Web
from tasks.errors import BadQuery
from tasks.lake.schema import CONTENT, EVENTS, VIDEOS
from tasks.rows import plain, python_rows
from tasks.sandbox import run_query
from tasks.settings import REPO
from tasks.web.snapshots import View

LONGEST_SQL = 20_000
SHOWN_ROWS = 500
CSV_ROWS = 10_000
ANSWER_MB = 16
WAITING = 8

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
    return await answer(Web.of(request), body.sql, body.rows)


@page_router.get("/sql")
async def page(request: Request) -> Response:
    """The box, the schema and ready queries; with `q`, the answer."""
    asked = request.query_params.get("q", "").strip()
    error, found = None, None
    if asked:
        try:
            found = await answer(Web.of(request), asked, SHOWN_ROWS)
        except BadQuery as problem:
            error = problem
    page = render(
        "sql.html", title="SQL", asked=asked, found=found, error=error, schema=schema(), queries=ready_queries(),
        settings=Web.of(request).settings,
    )  # fmt: skip
    return HTMLResponse(page, 400 if error else 200)


@page_router.get("/sql/data.csv")
async def as_csv(request: Request) -> Response:
    """The answer as CSV."""
    found = await answer(Web.of(request), request.query_params.get("q", "").strip(), CSV_ROWS)
    return csv_answer("answer.csv", found.columns, found.rows)


async def answer(web: Web, sql: str, most_rows: int) -> Answer:
    """Run a query in the sandbox, on the snapshot of this moment.

    Raises:
        BadQuery: see `run_query`. TooBusy: too many are run.
    """
    if len(sql) > LONGEST_SQL:
        raise BadQuery(f"The query has more than {LONGEST_SQL} characters.")
    settings = web.settings
    snapshot = await web.read(_snapshot)

    def asked() -> Answer:
        done = run_query(
            web.lake, sql, seconds=settings.sql_seconds, memory_mb=settings.sql_memory_mb,
            rows=min(most_rows, settings.sql_rows), answer_mb=ANSWER_MB, snapshot=snapshot,
        )  # fmt: skip
        rows = [[plain(value) for value in row.values()] for row in python_rows(done.rows)]
        return Answer(done.rows.column_names, rows, done.cut)

    return await web.bounded(asked, web.lanes.queries, WAITING * QUERIES_AT_ONCE)


def _snapshot(view: View) -> Any:
    return view.snapshot


@cache
def schema() -> dict[str, dict[str, str]]:
    """The views and the types of their columns."""
    transcripts = {"video_id": "VARCHAR", "generation": "BIGINT", "text": "VARCHAR", "folded": "VARCHAR"}
    return {"videos": VIDEOS, "transcripts": transcripts, **CONTENT, **EVENTS}


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
