"""The API: what the pages show, as JSON."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from importlib.metadata import version
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from pydantic import StringConstraints
from starlette.responses import Response

from dashboards import models, operation_models
from dashboards.answers import json_answer
from dashboards.web import Web
from tasks.runs.status import status_of
from tasks.search.filters import Filters
from tasks.search.places import USUAL, places_of
from tasks.web import near, screen, searching, transcript, videos
from tasks.web.like import LikeKind, like
from tasks.web.snapshots import View

LONGEST_TEXT = 500  # characters of a query
FURTHEST = 9_000  # offset of a page; Elasticsearch goes no further
PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"model": models.Problem, "description": "The query cannot be asked."},
    401: {"model": models.Problem, "description": "The archive asks for a token."},
    404: {"model": models.Problem, "description": "There is no such thing."},
    422: {"model": models.Problem, "description": "A value does not fit."},
    503: {"model": models.Problem, "description": "Too much is asked at once, or the lake does not answer; try later."},
}
SUBTITLE_TYPES = {"vtt": "text/vtt; charset=utf-8", "srt": "application/x-subrip; charset=utf-8"}

router = APIRouter(prefix="/api", responses=PROBLEMS)

VideoId = Annotated[str, Path(min_length=1, max_length=100, description="A video's id, as search gives it.")]
Text = Annotated[str, Query(min_length=1, max_length=LONGEST_TEXT, description="Words to look for.")]
Some = Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_TEXT)]
Limit = Annotated[int, Query(ge=1, le=100, description="Videos of a page.")]
Offset = Annotated[int, Query(ge=0, le=FURTHEST, description="Videos to pass over (`next` of the page before).")]
Topic = Annotated[str | None, Query(max_length=200, description="Only videos whose first topic is this.")]
Since = Annotated[date | None, Query(description="Published on this day or later.")]
Until = Annotated[date | None, Query(description="Published on this day or before.")]
Language = Annotated[str | None, Query(max_length=35, description="Only videos in this language.")]
Confidence = Annotated[float, Query(ge=0, le=1, description="Only videos recognised so surely.")]


@router.get("/health", response_model=operation_models.Health)
async def health() -> Any:
    """Whether the server answers. It does not look at the lake."""
    return {"status": "ok", "version": version("nightscribe")}


@router.get("/status", response_model=operation_models.Status)
async def status(request: Request) -> Any:
    """What is indexed, failed, due; how far search is behind the lake; the last runs."""
    web = Web.of(request)
    index = await web.look(web.engines.index)
    return await web.read(lambda view: status_of(web.lake, web.settings, view.snapshot, view.connection, index))


@router.get("/search", response_model=models.SearchAnswer)
async def search(
    request: Request,
    q: Text,
    mode: searching.Mode = "words",
    exact: Annotated[bool, Query(description="Words as typed only.")] = False,
    typos: Annotated[bool, Query(description="Forgive one typo in words of four letters or more.")] = False,
    topic: Topic = None,
    since: Since = None,
    until: Until = None,
    language: Language = None,
    min_confidence: Confidence = 0.0,
    video: Annotated[str | None, Query(max_length=100, description="Only in this video.")] = None,
    places: Annotated[
        str, Query(alias="in", max_length=50, description="Where: `speech`, `screen`, `title`, several with commas.")
    ] = ",".join(USUAL),
    limit: Limit = 10,
    offset: Offset = 0,
    moments: Annotated[int, Query(ge=1, le=100, description="Moments of each video.")] = 3,
) -> Any:
    """Find words in what was said; docs/search.md tells what is found."""
    web = Web.of(request)
    filters = Filters(topic, since, until, language, min_confidence)
    within = places_of(places)
    return await web.read(
        lambda view: searching.search(
            view, web.engines, q, filters, mode=mode, exact=exact, typos=typos, video=video, places=within,
            limit=limit, offset=offset, moments=moments,
        )
    )  # fmt: skip


@router.get("/near", response_model=models.Near)
async def near_search(
    request: Request,
    q: Annotated[str, Query(min_length=1, max_length=LONGEST_TEXT, description="What is to be seen, or heard.")],
    sense: near.Sense = "seen",
    plus: Annotated[list[Some], Query(max_length=10, description="Also to be seen, or heard.")] = [],  # noqa: B006
    minus: Annotated[list[Some], Query(max_length=10, description="To be taken away from it.")] = [],  # noqa: B006
    said: Annotated[str, Query(max_length=LONGEST_TEXT, description="Only while this is said.")] = "",
    topic: Topic = None,
    since: Since = None,
    until: Until = None,
    language: Language = None,
    min_confidence: Confidence = 0.0,
    limit: Limit = 10,
    offset: Offset = 0,
    moments: Annotated[int, Query(ge=1, le=100, description="Moments of each video.")] = 3,
) -> Any:
    """Find what is to be seen, or heard, by a text; the first such question loads a model."""
    web = Web.of(request)
    filters = Filters(topic, since, until, language, min_confidence)
    asked = await web.model(lambda: near.prepare(web.settings, sense, q, tuple(plus), tuple(minus)))
    return await web.read(
        lambda view: near.search(
            view, web.engines, asked, filters, said=said, limit=limit, offset=offset, moments=moments
        )
    )


@router.get("/suggest", response_model=models.Suggestions)
async def suggest(
    request: Request,
    q: Annotated[str, Query(max_length=LONGEST_TEXT, description="What has been typed so far.")],
    limit: Annotated[int, Query(ge=1, le=20)] = 8,
) -> Any:
    """Titles and topics that begin as typed."""
    web = Web.of(request)
    return await web.read(lambda view: searching.suggest(view, web.engines, q, limit=limit))


@router.get("/videos", response_model=models.Videos)
async def list_videos(
    request: Request,
    status: Annotated[
        str | None, Query(max_length=20, description="`indexed`, `failed`, ...; empty for all.")
    ] = "indexed",
    order: videos.Order = "newest",
    topic: Topic = None,
    since: Since = None,
    until: Until = None,
    language: Language = None,
    min_confidence: Confidence = 0.0,
    limit: Limit = 20,
    offset: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
) -> Any:
    """The videos of the archive."""
    filters = Filters(topic, since, until, language, min_confidence)
    return await Web.of(request).read(
        lambda view: videos.videos(view, filters, status=status, order=order, limit=limit, offset=offset)
    )


@router.get("/videos/{video_id}", response_model=models.Video)
async def one_video(request: Request, video_id: VideoId) -> Any:
    """All that is known of one video."""
    return await Web.of(request).read(lambda view: videos.video(view, video_id))


@router.get("/videos/{video_id}/transcript", response_model=models.Transcript)
async def one_transcript(
    request: Request,
    video_id: VideoId,
    from_ms: Annotated[int, Query(ge=0, le=10**12)] = 0,
    to_ms: Annotated[int | None, Query(ge=0, le=10**12)] = None,
    limit: Annotated[int, Query(ge=1, le=50_000, description="Words, at most.")] = 50_000,
) -> Any:
    """Words with their times and confidences, cues, and topics and sounds in the course of the video."""
    return await Web.of(request).read(
        lambda view: json_answer(transcript.transcript(view, video_id, from_ms=from_ms, to_ms=to_ms, most_words=limit))
    )


@router.get("/videos/{video_id}/screen", response_model=models.Screen)
async def on_screen(
    request: Request,
    video_id: VideoId,
    from_ms: Annotated[int, Query(ge=0, le=10**12)] = 0,
    to_ms: Annotated[int | None, Query(ge=0, le=10**12)] = None,
) -> Any:
    """What is to be read on the screen: texts with their times, and the lines of every frame with their places."""
    return await Web.of(request).read(lambda view: screen.layer(view, video_id, from_ms=from_ms, to_ms=to_ms))


@router.get("/videos/{video_id}/hits", response_model=models.Hits)
async def hits_in_video(request: Request, video_id: VideoId, q: Text, mode: searching.Mode = "words") -> Any:
    """Where words are said in one video, and where they stand on its screen."""
    web = Web.of(request)
    how = {"phrase": mode == "phrase", "any_word": mode == "any"}

    def found(view: View) -> dict[str, Any]:
        said = transcript.hits(view, web.settings, video_id, q, **how)
        shown = screen.hits(view, web.settings, videos.video_row(view, video_id), q, **how)
        return {"query": q, **asdict(said), "screen": [{"start_ms": at, "text": text} for at, text in sorted(shown)]}

    return await web.read(found)


@router.get("/videos/{video_id}/like", response_model=models.Like)
async def like_moment(
    request: Request,
    video_id: VideoId,
    at_ms: Annotated[int, Query(ge=0, le=10**9, description="The moment.")] = 0,
    kind: LikeKind = "pictures",
    limit: Limit = 10,
    offset: Offset = 0,
    moments: Annotated[int, Query(ge=1, le=100, description="Moments of each video.")] = 3,
) -> Any:
    """What looks, or sounds, like a moment of a video."""
    web = Web.of(request)
    return await web.read(
        lambda view: like(view, web.engines, video_id, at_ms, kind=kind, limit=limit, offset=offset, moments=moments)
    )


@router.get(
    "/videos/{video_id}/subtitles.{form}",
    response_class=Response,
    responses={200: {"content": {"text/vtt": {}, "application/x-subrip": {}, "text/plain": {}}}},
)
async def subtitles(request: Request, video_id: VideoId, form: transcript.Format, download: bool = False) -> Response:
    """The cues as WebVTT, SubRip or plain text."""
    text = await Web.of(request).read(lambda view: transcript.subtitles(view, video_id, form))
    headers = {"Content-Disposition": f'attachment; filename="{video_id}.{form}"'} if download else {}
    return Response(text, 200, headers, SUBTITLE_TYPES.get(form, "text/plain; charset=utf-8"))


@router.get("/videos/{video_id}/web-copy", response_model=models.CopyState)
async def copy_state(request: Request, video_id: VideoId) -> Any:
    """How far the copy is that every browser can play."""
    web = Web.of(request)
    _, found = await web.original(video_id)
    return asdict(web.copies.state(found))


@router.post("/videos/{video_id}/web-copy", response_model=models.CopyState)
async def ask_for_copy(request: Request, video_id: VideoId) -> Any:
    """Begin such a copy, if there is none yet."""
    web = Web.of(request)
    row, found = await web.original(video_id)
    return asdict(web.copies.ask(found, row))
