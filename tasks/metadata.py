"""What people said of a video: its sidecar (`NAME.json`, `NAME.info.json` with yt-dlp's fields), else what its
container says, else its file name."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any

from tasks.errors import BadSidecar
from tasks.records import Metadata

MAX_TEXT = 100_000


def parse_sidecar(data: bytes, key: str) -> dict[str, Any]:
    """The object in a sidecar.

    Raises:
        BadSidecar: it is not a JSON object, or absurdly large.
    """
    if len(data) > 4 << 20:
        raise BadSidecar(f"The sidecar {key} is larger than 4 MB.")
    try:
        value = json.loads(data.decode("utf-8-sig"))
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise BadSidecar(f"The sidecar {key} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise BadSidecar(f"The sidecar {key} holds no JSON object.")
    return value


def make_metadata(key: str, sidecar: Mapping[str, Any], container: Mapping[str, str]) -> Metadata:
    """Merge the sources, the sidecar first; fields of a wrong type count as missing."""
    tags = sidecar.get("tags") or sidecar.get("categories") or container.get("keywords") or ()
    if isinstance(tags, str):
        tags = re.split(r"[;,]", tags)
    published = next(
        (
            when
            for name in ("published_at", "timestamp", "upload_date", "release_date", "date")
            if (when := instant(sidecar.get(name)))
        ),
        None,
    ) or next((when for name in ("date", "creation_time") if (when := instant(container.get(name)))), None)
    return Metadata(
        title=_text(sidecar.get("title"))
        or _text(sidecar.get("fulltitle"))
        or _text(container.get("title"))
        or title_of(key),
        description=_text(sidecar.get("description"))
        or _text(container.get("description"))
        or _text(container.get("comment")),
        tags=tuple(clean for tag in (tags if isinstance(tags, (list, tuple)) else ()) if (clean := _text(tag))),
        published_at=published,
        language=_text(sidecar.get("language")) or None,
    )


def title_of(key: str) -> str:
    """A title from a file name: no folder, no extension, underscores as spaces."""
    name = PurePosixPath(key).name
    stem = re.sub(r"\.[A-Za-z0-9_~]{1,10}$", "", name) or name
    return " ".join(stem.replace("_", " ").split()) or name


def instant(value: object) -> datetime | None:
    """A point in time from what sidecars hold: epoch seconds, `20240131`, ISO 8601; anything else is none."""
    try:
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < 1e11:
            return datetime.fromtimestamp(value, UTC)
        text = _text(value)
        if re.fullmatch(r"\d{8}", text):
            return datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC)
        if re.fullmatch(r"\d{4}", text):
            return datetime(int(text), 1, 1, tzinfo=UTC)
        when = datetime.fromisoformat(text)
        # In UTC it may leave the years 1 to 9999, which the lake would take and Python not read again.
        return when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _text(value: object) -> str:
    """A string that can be stored: lone surrogates out, no control characters but line breaks, bounded."""
    if not isinstance(value, str):
        return ""
    value = value.encode("utf-8", "replace").decode("utf-8")
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f]", " ", value)[:MAX_TEXT].strip()
