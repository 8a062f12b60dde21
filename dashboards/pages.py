"""The search page, the watch page and the API's description, made by the server: they are read without any script."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, get_args

from fastapi import APIRouter, Request
from starlette.responses import HTMLResponse, Response

from dashboards.api import PROBLEMS
from dashboards.forms import PAGE, SearchForm, choice, search_form, text, whole
from dashboards.render import render
from dashboards.svg import bands, topic_bands
from dashboards.web import Web
from tasks.errors import BadQuery, Misconfigured
from tasks.search.near import Wished
from tasks.web import media, near, screen, searching, transcript, videos
from tasks.web.filters import choices
from tasks.web.like import LikeKind, has, like
from tasks.web.snapshots import View

LEAD_MS = 1000  # a hit is played from so long before it
LONGEST_AT = 10**9

page_router = APIRouter(include_in_schema=False, responses=PROBLEMS)


@page_router.get("/")
async def search_page(request: Request) -> Response:
    """Results, or where nothing is asked, the newest videos."""
    web = Web.of(request)
    try:
        form = search_form(request.query_params)
    except BadQuery as error:
        return HTMLResponse(_search_page(web, None, {}, None, error=error), 400)
    try:
        asked = await web.model(lambda: _wished(web, form)) if form.q and form.sense else None
        return HTMLResponse(await web.read(lambda view: _found(view, web, form, asked)))
    except Misconfigured as error:
        if not web.lake.exists():
            return HTMLResponse(_search_page(web, None, form.values(), None, error=error, empty=True))
        if not (isinstance(error, BadQuery) or form.sense):
            raise
        problem = error
    page = await web.read(lambda view: _search_page(web, view, form.values(), None, error=problem))
    return HTMLResponse(page, 400)


def _wished(web: Web, form: SearchForm) -> Wished | None:
    """What is to be seen or heard, as the model sees it."""
    several = [tuple(filter(None, [given])) for given in (form.plus, form.minus)]
    return near.prepare(web.settings, form.sense, form.q, *several) if form.sense else None


def _found(view: View, web: Web, form: SearchForm, asked: Wished | None) -> str:
    if asked:
        page: dict[str, Any] = {"said": form.said, "limit": PAGE, "offset": form.offset}
        found = near.search(view, web.engines, asked, form.filters, **page)
    elif form.q:
        found = searching.search(
            view, web.engines, form.q, form.filters, mode=form.mode, exact=form.exact, typos=form.typos, places=form.within,
            limit=PAGE, offset=form.offset,
        )  # fmt: skip
    else:
        found = videos.videos(view, form.filters, limit=PAGE, offset=form.offset)
    empty = not form.q and not found["total"] and form.values() == dict.fromkeys(form.values(), "")
    return _search_page(web, view, form.values(), found, page=form.page, empty=empty)


def _search_page(
    web: Web,
    view: View | None,
    values: dict[str, Any],
    found: Any,
    *,
    page: int = 1,
    error: Exception | None = None,
    empty: bool = False,
) -> str:
    asked = {name: values.get(name, "") for name in _FIELDS}
    return render(
        "search.html",
        title=asked["q"] or "Search",
        choices=choices(view) if view else None,
        senses=[sense for sense in near.senses(view) if sense in web.senses] if view else [],
        values=asked,
        found=found,
        page=page,
        per_page=PAGE,
        error=error,
        empty=empty,
        filtered=any(asked[name] for name in _FIELDS if name not in ("q", "mode")),
    )


_FIELDS = (
    "q",
    "mode",
    "plus",
    "minus",
    "said",
    "exact",
    "typos",
    "in",
    "topic",
    "since",
    "until",
    "language",
    "min_confidence",
)


@page_router.get("/watch/{video_id}")
async def watch_page(request: Request, video_id: str) -> Response:
    """A video with its transcript. `at` and `to` (ms) are a moment or a range, `q` is looked for in it."""
    web, params = Web.of(request), request.query_params
    at = whole(params, "at", -1, 0, LONGEST_AT)
    to = whole(params, "to", -1, 0, LONGEST_AT)
    asked = text(params, "q")
    mode = choice(params, "mode", get_args(searching.Mode), "words")

    def made(view: View) -> str:
        row = videos.video_row(view, video_id)
        about = videos.video(view, video_id)
        problem = ""
        found = transcript.Hits([])
        on_screen: set[tuple[int, str]] = set()
        how = {"phrase": mode == "phrase", "any_word": mode == "any"}
        if asked:
            try:
                found = transcript.hits(view, web.settings, video_id, asked, **how)
                on_screen = screen.hits(view, web.settings, row, asked, **how)
            except BadQuery as error:
                problem = str(error)
        lines = transcript.lines(view, row)
        shown = screen.texts(view, row, repeated=False)
        topics = [topic for topic in transcript.topics(view, row) if topic["scope"] == "window" and topic["rank"] == 1]
        return render(
            "watch.html",
            title=about["title"] or about["key"],
            video=about,
            lines=lines,
            shown=shown,
            beside=screen.beside(lines, shown),
            on_screen=on_screen,
            hit_words={number for hit in found.hits for number in hit.words},
            hits=[asdict(hit) for hit in found.hits],
            instead=found.instead,
            bands=topic_bands(topics, row["duration_ms"] or 0),
            alike=has(view, row),
            sounds=bands(transcript.sounds(view, row), row["duration_ms"] or 0),
            q=asked,
            mode=mode,
            problem=problem,
            at=at if at >= 0 else None,
            to=to if to >= 0 else None,
            start_s=max(0, at - LEAD_MS) / 1000,
            unsure=transcript.UNSURE,
            type=media.media_type(row),
            plays=media.plays_in_browsers(row),
            may_play=media.may_play(row),
            said_direction=videos.direction(
                row["language"], " ".join(word[1] for line in lines[:5] for word in line.words)
            ),
        )

    return HTMLResponse(await web.read(made))


@page_router.get("/like/{video_id}")
async def like_page(request: Request, video_id: str) -> Response:
    """What looks, or sounds, like a moment of a video."""
    web, params = Web.of(request), request.query_params
    at = whole(params, "at", 0, 0, LONGEST_AT)
    page = whole(params, "page", 1, 1, 1000)
    kind: LikeKind = "sounds" if choice(params, "kind", get_args(LikeKind), "pictures") == "sounds" else "pictures"

    def made(view: View) -> str:
        found = like(view, web.engines, video_id, at, kind=kind, limit=PAGE, offset=(page - 1) * PAGE)
        return render(
            "like.html",
            title="More that sounds like this" if kind == "sounds" else "More that looks like this",
            video=videos.video(view, video_id),
            found=found,
            at=at,
            kind=kind,
            page=page,
            per_page=PAGE,
        )

    return HTMLResponse(await web.read(made))


@page_router.get("/api/docs")
async def api_page(request: Request) -> Response:
    """The API, from its OpenAPI description."""
    described = request.app.openapi()
    routes = [
        {"path": path, "method": method.upper(), **about}
        for path, methods in described["paths"].items()
        for method, about in methods.items()
    ]
    return HTMLResponse(render("api.html", title="API", routes=routes, schemas=described["components"]["schemas"]))
