"""Media by the id of a video: its file in ranges, its web copy, a frame, its waveform."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response, StreamingResponse

from dashboards.api import PROBLEMS, VideoId
from dashboards.guard import ONLY_HEAD
from dashboards.web import Web
from tasks.errors import NotFound
from tasks.web import media, pictures

router = APIRouter(prefix="/media", responses=PROBLEMS)


@router.get("/{video_id}/original", response_class=Response)
async def original(request: Request, video_id: VideoId) -> Response:
    """The video's own file, as it lies in the bucket."""
    row, found = await Web.of(request).original(video_id)
    return _ranged(request, found.size, found.name, media.media_type(row), found.parts)


@router.get("/{video_id}/web.mp4", response_class=Response)
async def web_copy(request: Request, video_id: VideoId) -> Response:
    """The copy that every browser plays, once it is made (see `/api/videos/{video_id}/web-copy`)."""
    row, found = await Web.of(request).original(video_id)
    path = Web.of(request).copies.find(found)
    if path is None:
        raise NotFound("There is no web copy yet.", next=f"POST /api/videos/{video_id}/web-copy")
    return _file(request, path, "video/mp4" if row["video_codec"] else "audio/mp4")


@router.get("/{video_id}/frame.jpg", response_class=Response)
async def frame(request: Request, video_id: VideoId, at_ms: Annotated[int, Query(ge=0, le=10**9)] = 0) -> Response:
    """The picture at a second of the video, 320 pixels wide."""
    web = Web.of(request)
    row, found = await web.original(video_id)
    if not row["video_codec"]:
        raise NotFound("This recording has no picture.")
    at = min(at_ms, max(0, (row["duration_ms"] or 0) - 1000))
    path = await web.picture(lambda: pictures.frame(found, row, at, web.cache, web.fetched, web.settings))
    return _file(request, path, "image/jpeg")


@router.get("/{video_id}/waveform.svg", response_class=Response)
async def waveform(request: Request, video_id: VideoId) -> Response:
    """The loudness of the recording over its length."""
    web = Web.of(request)
    row, found = await web.original(video_id)
    path = await web.picture(lambda: pictures.waveform(found, row, web.cache, web.fetched, web.settings))
    return _file(request, path, "image/svg+xml")


def _file(request: Request, path: Path, kind: str) -> Response:
    # By its name: the cache notes every use as the time of the file.
    return _ranged(request, path.stat().st_size, path.name, kind, lambda start, end: media.file_parts(path, start, end))


def _tag(name: str) -> str:
    return f'"{hashlib.sha256(name.encode()).hexdigest()[:20]}"'


def _ranged(
    request: Request, size: int, name: str, kind: str, parts: Callable[[int, int], Iterator[bytes]]
) -> Response:
    """An object or the one range of it that is asked for (RFC 9110)."""
    tag = _tag(name)
    headers = {"Accept-Ranges": "bytes", "ETag": tag, "Content-Disposition": "inline"}
    if tag in request.headers.get("if-none-match", ""):
        return Response(None, 304, headers)
    asked = request.headers.get("range")
    condition = request.headers.get("if-range")
    try:
        within = media.byte_range(asked, size) if condition in (None, tag) else None
    except ValueError:
        return Response(None, 416, {**headers, "Content-Range": f"bytes */{size}"}, kind)
    start, end = within or (0, size)
    headers["Content-Length"] = str(end - start)
    if within:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    if request.scope.get(ONLY_HEAD):
        return Response(None, 206 if within else 200, headers, kind)
    return StreamingResponse(parts(start, end), 206 if within else 200, headers, kind)
