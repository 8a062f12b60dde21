"""Videos as lists and pages show them."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from typing import Any, Literal

from tasks.errors import NotFound
from tasks.lake.views import quoted
from tasks.search.filters import Filters
from tasks.search.shown import SHOWN_TOPICS, iso
from tasks.web.filters import conditions
from tasks.web.snapshots import View

Order = Literal["newest", "oldest", "longest", "title"]
VIDEO_ID = re.compile(r"[0-9a-f]{20}")
RIGHT_TO_LEFT = frozenset("ar arc ckb dv fa he iw ks nqo pnb ps sd syr ug ur yi".split())
_ORDERS: dict[Order, str] = {
    "newest": "v.published_at DESC NULLS LAST, v.key",
    "oldest": "v.published_at NULLS LAST, v.key",
    "longest": "v.duration_ms DESC NULLS LAST, v.key",
    "title": "lower(v.title), v.key",
}
_COLUMNS = """
    v.video_id, v.key, v.title, v.published_at, v.duration_ms, v.language, v.status, v.reason, v.n_words, v.confidence
"""


def videos(
    view: View, filters: Filters, *, status: str | None = "indexed", order: Order = "newest", limit: int, offset: int
) -> dict[str, Any]:
    """A page of videos, of one status or of all that are not gone: `total`, `next` (offset, or null) and `videos`."""
    wanted = [
        f"v.status = {quoted(status)}" if status else "v.status NOT IN ('gone', 'forgotten')",
        *conditions(filters),
    ]
    where = " AND ".join(wanted)
    [(total,)] = view.rows(f"SELECT count(*) FROM videos v WHERE {where}")
    found = view.dicts(
        f"SELECT {_COLUMNS} FROM videos v WHERE {where} ORDER BY {_ORDERS[order]}, v.video_id LIMIT $limit OFFSET $offset",
        {"limit": limit, "offset": offset},
    )
    topics = _topics(view, [row["video_id"] for row in found])
    following = offset + len(found)
    return {
        "total": total,
        "next": following if found and following < total else None,
        "videos": [{**_shown(row), "topics": topics.get(row["video_id"], [])} for row in found],
    }


def video(view: View, video_id: str) -> dict[str, Any]:
    """One video with all that is known of it, as the API answers.

    Raises:
        NotFound: there is none with this id, or it is gone.
    """
    row = video_row(view, video_id)
    return {
        **_shown(row),
        "description": row["description"] or "",
        "tags": list(row["tags"] or ()),
        "topics": _topics(view, [video_id]).get(video_id, []),
        "error": row["error"],
        "size_bytes": row["size_bytes"],
        "container": row["container"],
        "video_codec": row["video_codec"],
        "audio_codec": row["audio_codec"],
        "width": row["width"],
        "height": row["height"],
        "n_cues": row["n_cues"],
        "direction": direction(row["language"], row["title"]),
        "models": models(row["recipe_json"]),
        "indexed_at": iso(row["indexed_at"]),
        "generation": row["generation"],
    }


def video_row(view: View, video_id: str) -> dict[str, Any]:
    """The row of a video that is not gone.

    Raises:
        NotFound: there is none with this id.
    """
    # An id that is none is never looked for: it may be a path, or longer than a lake.
    found = (
        view.dicts(
            f"SELECT * FROM videos_and_runs v WHERE v.video_id = {quoted(video_id)} AND v.status NOT IN ('gone', 'forgotten')"
        )
        if VIDEO_ID.fullmatch(video_id)
        else []
    )
    if not found:
        raise NotFound(f"There is no video {video_id[:40]!r}.", next="Find its id with a search.")
    return found[0]


def models(recipe_json: str | None) -> dict[str, str | None]:
    """The models that made a row, by their names: `speech`, `language` and `topics`."""
    try:
        made = json.loads(recipe_json or "{}")
    except ValueError:
        made = {}

    def name(stage: str, key: str) -> str | None:
        about = made.get(stage) if isinstance(made, dict) else None
        value = about.get(key) if isinstance(about, dict) else None
        return str(value) if value else None

    return {"speech": name("acoustic", "model"), "language": name("decode", "lm"), "topics": name("topics", "model")}


def direction(language: str | None, text: str = "") -> Literal["ltr", "rtl"]:
    """How a language is written; of an unknown one, how the first strong character of a text runs (Unicode UAX 9)."""
    code = (language or "").replace("_", "-").lower().split("-")[0]
    if code:
        return "rtl" if code in RIGHT_TO_LEFT else "ltr"
    for char in text[:1000]:
        kind = unicodedata.bidirectional(char)
        if kind in ("R", "AL"):
            return "rtl"
        if kind == "L":
            return "ltr"
    return "ltr"


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    names = ("video_id", "key", "title", "duration_ms", "language", "status", "reason", "n_words")
    confidence = row["confidence"]
    return {
        **{name: row[name] for name in names},
        "published_at": iso(row["published_at"]),
        "confidence": None if confidence is None else round(confidence, 4),
    }


def _topics(view: View, ids: Sequence[str]) -> dict[str, list[str]]:
    listed = ", ".join(map(quoted, ids))  # constants let DuckDB skip row groups
    return dict(
        view.rows(
            f"SELECT video_id, list(label ORDER BY rank) FROM topics WHERE {SHOWN_TOPICS} "
            f"AND {f'video_id IN ({listed})' if ids else 'false'} GROUP BY video_id"
        )
    )
