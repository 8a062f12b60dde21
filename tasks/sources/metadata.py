"""What people said of a video: its sidecar (`NAME.json`, `NAME.info.json` with yt-dlp's fields), else what its
container says, else its file name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Any

from tasks.errors import BadSidecar
from tasks.records import Metadata
from tasks.sources.dates import instant
from tasks.sources.json_stream import NotJson, read_members

MAX_TEXT = 100_000
DATES = ("published_at", "timestamp", "upload_date", "release_date", "date")
SECONDS = ("timestamp",)  # since 1970
FIELDS = frozenset(("title", "fulltitle", "description", "tags", "categories", "language", *DATES))
# As ffprobe names them, in small letters; the last two are what the clock of a camera or program said.
CLOCKS = ("com.apple.quicktime.creationdate", "creation_time")
CONTAINER_DATES = ("date", "tdrc", "tyer", "year", *CLOCKS)


def parse_sidecar(data: bytes | Iterable[bytes], key: str) -> dict[str, Any]:
    """The fields of a sidecar that count here. In pieces it may be of any size; strings and lists are cut (`read_members`).

    Raises:
        BadSidecar: it is not a JSON object.
    """
    try:
        found = read_members((data,) if isinstance(data, bytes) else data, FIELDS, chars=MAX_TEXT)
    except NotJson as error:
        raise BadSidecar(f"The sidecar {key} is not JSON: {error}.") from error
    if found is None:
        raise BadSidecar(f"The sidecar {key} holds no JSON object.")
    return found


def make_metadata(key: str, sidecar: Mapping[str, Any], container: Mapping[str, str]) -> Metadata:
    """Merge the sources, the sidecar first; fields of a wrong type count as missing."""
    tags = sidecar.get("tags") or sidecar.get("categories") or container.get("keywords") or ()
    if isinstance(tags, str):
        tags = re.split(r"[;,]", tags)
    dates = (
        *(instant(sidecar.get(name), seconds=name in SECONDS) for name in DATES),
        *(instant(container.get(name), clock=name in CLOCKS) for name in CONTAINER_DATES),
    )
    return Metadata(
        title=_text(sidecar.get("title"))
        or _text(sidecar.get("fulltitle"))
        or _text(container.get("title"))
        or title_of(key),
        description=_text(sidecar.get("description"))
        or _text(container.get("description"))
        or _text(container.get("comment")),
        tags=tuple(clean for tag in (tags if isinstance(tags, (list, tuple)) else ()) if (clean := _text(tag))),
        published_at=next(filter(None, dates), None),
        language=_text(sidecar.get("language")) or None,
    )


def title_of(key: str) -> str:
    """A title from a file name: no folder, no extension, underscores as spaces."""
    name = PurePosixPath(key).name
    stem = re.sub(r"\.[A-Za-z0-9_~]{1,10}$", "", name) or name
    return " ".join(stem.replace("_", " ").split()) or name


def _text(value: object) -> str:
    """A string that can be stored: lone surrogates out, no control characters but line breaks, bounded."""
    if not isinstance(value, str):
        return ""
    value = value.encode("utf-8", "replace").decode("utf-8")
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f]", " ", value)[:MAX_TEXT].strip()
