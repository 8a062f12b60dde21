"""The web app: one FastAPI application for a set of settings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from dashboards import analytics, api, login, media, operations, pages, problems, sql
from dashboards.guard import Guard
from dashboards.render import STATIC
from dashboards.web import Web
from tasks.settings import Settings


def create_app(settings: Settings) -> Guard:
    """The application. It opens nothing before it is asked; the lake may be made later than the server starts."""

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        app.state.web = Web(settings)
        yield
        app.state.web.close()

    app = FastAPI(
        title="Nightscribe",
        version=version("nightscribe"),
        description="Search in what is said in a video archive. Times are milliseconds from the start of a video.",
        lifespan=life,
        docs_url=None,  # those pages load their scripts from elsewhere; ours is at /api/docs
        redoc_url=None,
        openapi_url="/api/openapi.json",
    )
    problems.install(app)
    for router in (
        *(module.router for module in (api, analytics, operations, sql, media)),
        *(module.page_router for module in (analytics, operations, sql, login, pages)),
    ):
        app.include_router(router)
    app.mount("/static", _Static(directory=STATIC))
    return Guard(app, settings)


class _Static(StaticFiles):
    """Files whose address has a hash of their content are kept by browsers for good."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        answer = await super().get_response(path, scope)
        if Request(scope).query_params.get("v") and answer.status_code == 200:
            answer.headers["Cache-Control"] = "public, max-age=31536000, immutable"
        return answer
