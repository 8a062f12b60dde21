"""Charts: as data, as CSV, and as a page."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import HTMLResponse, Response

from dashboards import models
from dashboards.answers import csv_answer, json_answer
from dashboards.api import LONGEST_TEXT, PROBLEMS, Confidence, Language, Since, Topic, Until
from dashboards.forms import asked_of, filter_values, filters_of
from dashboards.render import render
from dashboards.svg import chart as picture
from dashboards.web import Web
from tasks.errors import BadQuery
from tasks.search.filters import Filters
from tasks.web.analytics import CHARTS, ChartParams, Grain, chart_named, draw
from tasks.web.filters import choices
from tasks.web.snapshots import View

router = APIRouter(prefix="/api/analytics", responses=PROBLEMS)
page_router = APIRouter(include_in_schema=False)

Name = Annotated[str, Path(max_length=40, description="A chart's name, as `/api/analytics` lists them.")]
Words = Annotated[str, Query(max_length=LONGEST_TEXT)]


@router.get("", response_model=list[models.ChartAbout])
async def listed() -> Any:
    """The charts there are."""
    return [{"name": chart.name, "title": chart.title, "about": chart.about} for chart in CHARTS.values()]


@router.get("/{name}", response_model=models.ChartData)
async def data(
    request: Request,
    name: Name,
    phrase: Words = "",
    word: Words = "",
    of_topic: Words = "",
    grain: Grain = "month",
    topic: Topic = None,
    since: Since = None,
    until: Until = None,
    language: Language = None,
    min_confidence: Confidence = 0.0,
) -> Any:
    """The rows of a chart, and the query that makes them."""
    filters = Filters(topic, since, until, language, min_confidence)

    def made(view: View) -> Response:
        drawn = draw(view, name, filters, ChartParams(phrase, word, of_topic, grain))
        about = drawn.chart
        return json_answer(
            {
                "name": about.name, "title": about.title, "about": about.about,
                "sql": drawn.sql, "columns": drawn.columns, "rows": drawn.rows,
            }
        )  # fmt: skip

    return await Web.of(request).read(made)


@page_router.get("/analytics")
async def page(request: Request) -> Response:
    """All charts; each is fetched by itself, so that none waits for another."""
    params = request.query_params
    try:
        filters, asked = filters_of(params), asked_of(params)
    except BadQuery as error:
        return HTMLResponse(render("analytics.html", **_page_values(None, Filters(), ChartParams(), error)), 400)
    known = await Web.of(request).read(choices)
    return HTMLResponse(render("analytics.html", **_page_values(known, filters, asked, None)))


def _page_values(known: Any, filters: Filters, asked: ChartParams, error: Exception | None) -> dict[str, Any]:
    return {
        "title": "Analytics",
        "choices": known,
        "charts": list(CHARTS.values()),
        "values": _values(filters, asked),
        "error": error,
    }


def _values(filters: Filters, asked: ChartParams) -> dict[str, Any]:
    own = {"phrase": asked.phrase, "word": asked.word, "of_topic": asked.topic, "grain": asked.grain}
    return {**filter_values(filters), **own}


@page_router.get("/analytics/{name}")
async def one(request: Request, name: str) -> Response:
    """One chart as a page; with `part`, only what the page of all charts puts in."""
    params = request.query_params
    chart, part = chart_named(name), bool(params.get("part"))
    filters, asked = filters_of(params), asked_of(params)
    values = _values(filters, asked)

    def made(view: View) -> str:
        error, drawn = None, None
        try:
            drawn = draw(view, name, filters, asked)
        except BadQuery as problem:
            error = problem
        return render(
            "chart_part.html" if part else "chart.html",
            title=chart.title,
            chart=chart,
            drawn=drawn,
            picture=picture(drawn) if drawn else "",
            error=error,
            values=values,
            choices=choices(view),
        )

    return HTMLResponse(await Web.of(request).read(made))


@page_router.get("/analytics/{name}/data.csv")
async def as_csv(request: Request, name: str) -> Response:
    """The rows of a chart as CSV; texts that a spreadsheet would take for formulas are made plain."""
    params = request.query_params
    filters, asked = filters_of(params), asked_of(params)

    def made(view: View) -> Response:
        drawn = draw(view, name, filters, asked)
        return csv_answer(f"{drawn.chart.name}.csv", drawn.columns, drawn.rows)

    return await Web.of(request).read(made)
