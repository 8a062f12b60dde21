"""A video's own file for the player: found by the video's id alone, read in parts, and whether a browser can play it."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.errors import NotFound, UnsupportedMedia
from tasks.machine.scratch import cache_name
from tasks.settings import Settings
from tasks.sources.bucket import Bucket, open_bucket
from tasks.web.cache import FolderCache

CHUNK = 256 << 10
PART = 2 << 20  # of an object elsewhere: each is a request
RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)
# Containers as ffprobe names them, the type for the browser, and the codecs in them that every current browser plays.
_PLAYED: dict[str, tuple[str, str, frozenset[str], frozenset[str]]] = {
    "mov": ("video/mp4", "audio/mp4", frozenset({"h264", "av1", "vp9"}), frozenset({"aac", "mp3", "opus", "flac"})),
    "matroska": ("video/webm", "audio/webm", frozenset({"vp8", "vp9", "av1"}), frozenset({"opus", "vorbis"})),
    "ogg": ("video/ogg", "audio/ogg", frozenset(), frozenset({"opus", "vorbis"})),
    "mp3": ("audio/mpeg", "audio/mpeg", frozenset(), frozenset({"mp3"})),
    "wav": ("audio/wav", "audio/wav", frozenset(), frozenset({"pcm_s16le", "pcm_u8"})),
    "flac": ("audio/flac", "audio/flac", frozenset(), frozenset({"flac"})),
    "aac": ("audio/aac", "audio/aac", frozenset(), frozenset({"aac"})),
}
_PIXELS = (None, "yuv420p", "yuvj420p")  # 8 bits, colour at half the resolution


@dataclass(frozen=True)
class Original:
    """The object of a video in its bucket. `name` is for caches: it changes when the object does."""

    bucket: Bucket
    key: str
    size: int
    fingerprint: str
    name: str

    def parts(self, start: int, end: int) -> Iterator[bytes]:
        """The bytes from `start` to before `end`, in chunks."""
        path = self.bucket.local_path(self.key)
        if path is not None:
            yield from file_parts(path, start, end)
            return
        while start < end:
            data = self.bucket.part(self.key, start, min(PART, end - start))
            if not data:
                return
            yield data
            start += len(data)


class Originals:
    """Finds the objects of videos; keeps the buckets it has opened."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings.model_copy(update={"checksum": False})
        self._buckets: dict[str, Bucket] = {}
        self._lock = threading.Lock()

    def find(self, row: dict[str, Any]) -> Original:
        """The object of a video's row, as it is now.

        Raises:
            NotFound: it is no longer there. BucketNotFound, AccessDenied, StorageBusy.
        """
        bucket = self._bucket(row["bucket_uri"] or row["bucket"])
        found = bucket.stat(row["key"])
        name = cache_name(row["video_id"], found.fingerprint, found.size_bytes)
        return Original(bucket, row["key"], found.size_bytes, found.fingerprint, name)

    def _bucket(self, uri: str) -> Bucket:
        with self._lock:
            if uri not in self._buckets:
                self._buckets[uri] = open_bucket(uri, self._settings)
            return self._buckets[uri]


def local_file(original: Original, fetched: FolderCache, settings: Settings, *, most_mb: float) -> Path:
    """A path to the object on this machine: its own, or a copy in `fetched`, which ffmpeg can seek in.

    Raises:
        UnsupportedMedia: it lies elsewhere and is larger than `most_mb`. ScratchFull.
    """
    path = original.bucket.local_path(original.key)
    if path is not None:
        return path
    if original.size > most_mb * 2**20:
        raise UnsupportedMedia(f"The object is larger than {most_mb:g} MB, too large to be fetched for this.")

    def fetch(target: Path) -> None:
        whole = original.bucket.fetched(original.key, original.fingerprint, target.parent, settings.scratch_free_gb)
        with whole as copy:
            os.replace(copy, target)

    return fetched.get(f"{original.name}.original", fetch)


def file_parts(path: Path, start: int, end: int) -> Iterator[bytes]:
    """The bytes of a file from `start` to before `end`; the file may be removed meanwhile.

    Raises:
        NotFound: it is no longer there.
    """
    try:
        handle = path.open("rb")
    except FileNotFoundError as error:
        raise NotFound("The file is no longer there.") from error
    with handle:
        handle.seek(start)
        while start < end:
            data = handle.read(min(CHUNK, end - start))
            if not data:
                return
            yield data
            start += len(data)


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """The one range of a Range header (RFC 9110) as (start, end before which it stops); None when all is to be sent.

    Raises:
        ValueError: no byte of the object is in it.
    """
    if not header:
        return None
    asked = RANGE.fullmatch(header.strip())
    if not asked or not (asked[1] or asked[2]):
        return None  # several ranges, or none that is understood: the whole is a valid answer
    if asked[1]:
        start = int(asked[1])
        end = min(int(asked[2]) + 1, size) if asked[2] else size
        if asked[2] and int(asked[2]) < start:
            return None
    else:
        start, end = max(0, size - int(asked[2])), size
    if start >= size or start >= end:
        raise ValueError("no such bytes")
    return start, end


def media_type(row: dict[str, Any]) -> str:
    """The type that the file of a video's row is served with; a table's, never one that the file or its name claims."""
    family = _family(row["container"])
    if family is None:
        return "application/octet-stream"
    pictures, sound, *_ = _PLAYED[family]
    return pictures if row["video_codec"] else sound


def plays_in_browsers(row: dict[str, Any]) -> bool:
    """Whether every current browser plays the file as it is, at the times of its rows; others get a web copy.

    Chromium, for one, keeps the clock of a file that does not begin at 0, and a seek in an MP3 of varying bit rate ends up
    seconds away. Rows of before do not know of clocks and pixels.
    """
    return may_play(row) and row["clock"] in (None, "steady") and row["pixels"] in _PIXELS


def may_play(row: dict[str, Any]) -> bool:
    """Whether browsers know its container and codecs: where no copy can be made, the file itself is better than none."""
    family = _family(row["container"])
    if family is None:
        return False
    _, _, video, audio = _PLAYED[family]
    return (not row["video_codec"] or row["video_codec"] in video) and (
        not row["audio_codec"] or row["audio_codec"] in audio
    )


def _family(container: str | None) -> str | None:
    names = (container or "").split(",")
    return next((name for name in names if name in _PLAYED), None)
