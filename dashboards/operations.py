"""How the nightly runs are doing, as a page and as data; trying failed videos again."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from dashboards import operation_models
from dashboards.answers import json_answer
from dashboards.api import PROBLEMS
from dashboards.render import render
from dashboards.web import Web
from tasks.errors import NotFound
from tasks.settings import Settings
from tasks.web.operations import operations
from tasks.web.retry import buckets_with_failures

router = APIRouter(prefix="/api/operations", responses=PROBLEMS)
page_router = APIRouter(include_in_schema=False)


@router.get("", response_model=operation_models.Operations)
async def data(request: Request) -> Response:
    """Runs, speed by stage, failures, what waits, the lake's files, the last syncs."""
    return json_answer(await _found(Web.of(request)))


async def _found(web: Web) -> dict[str, Any]:
    index = await web.look(web.engines.index)
    return await web.read(lambda view: operations(view, web.settings, index))


@page_router.get("/operations")
async def page(request: Request) -> Response:
    """The same for people."""
    web = Web.of(request)
    found = await _found(web)
    return HTMLResponse(
        render(
            "operations.html",
            title="Operations",
            found=found,
            retry=web.retrier.state if web.settings.web_retry else None,
            prefect=prefect_pages(web.settings),
            settings=web.settings,
        )
    )


@page_router.post("/operations/retry")
async def retry(request: Request) -> Response:
    """Try the failed videos again, where the setting `web_retry` allows it."""
    web = Web.of(request)
    if not web.settings.web_retry:
        raise NotFound(
            "This server may not start runs.", next="Set web_retry, or run: nightscribe index --retry-failed"
        )
    buckets = await web.read(buckets_with_failures)
    if buckets:
        web.retrier.start(buckets)
    return RedirectResponse("/operations", 303)


def prefect_pages(settings: Settings) -> str | None:
    """The address of Prefect's own pages, if a server is set."""
    address = settings.web_prefect_url or os.environ.get("PREFECT_UI_URL") or os.environ.get("PREFECT_API_URL")
    if not address or urlsplit(address).scheme not in ("http", "https"):
        return None
    return address.rstrip("/").removesuffix("/api")
