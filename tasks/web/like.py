"""What looks or sounds like a moment of a video: by the vector that the lake has of it, without a model."""

from __future__ import annotations

from typing import Any, Literal, get_args

from tasks.search import near_scan
from tasks.search.near_kinds import KINDS
from tasks.search.nearest import nearest
from tasks.web.searching import Engines
from tasks.web.snapshots import View
from tasks.web.transcript import of_row
from tasks.web.videos import video_row

LikeKind = Literal["pictures", "sounds"]


def like(
    view: View,
    engines: Engines,
    video_id: str,
    at_ms: int,
    *,
    kind: LikeKind,
    limit: int = 10,
    offset: int = 0,
    moments: int = 3,
) -> dict[str, Any]:
    """Videos by the nearest of what they have, in the form of a search.

    Raises:
        NotFound: there is no such video, or it has no frames, or no sounds.
    """
    video_row(view, video_id)
    chosen = KINDS[kind]
    query, recipes = near_scan.like(
        view.connection, chosen, video_id, at_ms, limit=limit, offset=offset, moments=moments
    )
    found = nearest(engines.settings, view.lake, view.connection, chosen, query, recipes, engine=engines.engine)
    if found["fallback_reason"]:
        engines.heard(found["fallback_reason"])
    return found


def has(view: View, row: dict[str, Any]) -> list[LikeKind]:
    """What of a video's row others could be like."""
    kinds: tuple[LikeKind, ...] = get_args(LikeKind)
    return [kind for kind in kinds if view.rows(f"SELECT 1 FROM {KINDS[kind].table} WHERE {of_row(row)} LIMIT 1")]
