"""A search by what is to be seen or heard, as the web app asks and shows it."""

from __future__ import annotations

from typing import Any, Literal

from tasks.errors import NightscribeError, NotFound
from tasks.models.catalog import find_set
from tasks.search.filters import Filters
from tasks.search.near import Wish, Wished, found, wished
from tasks.search.near_kinds import KINDS
from tasks.settings import Settings
from tasks.web.searching import Engines, strip_of
from tasks.web.snapshots import View

Sense = Literal["seen", "heard"]
OF_SENSES: dict[Sense, str] = {"seen": "pictures", "heard": "sounds"}
STRIP_MOMENTS = 100


def possible(settings: Settings) -> tuple[Sense, ...]:
    """What the set of the settings has models of; none where there is no such set."""
    try:
        chosen = find_set(settings)
    except NightscribeError:
        return ()
    return tuple(sense for sense, kind in OF_SENSES.items() if chosen.ref(kind))


def senses(view: View) -> list[Sense]:
    """What of the archive there are vectors of."""
    return [
        sense
        for sense, kind in OF_SENSES.items()
        if view.rows(f"SELECT 1 FROM current_{KINDS[kind].table} WHERE rows > 0 LIMIT 1")
    ]


def prepare(settings: Settings, sense: Sense, text: str, plus: tuple[str, ...], minus: tuple[str, ...]) -> Wished:
    """What is wished for, as the model sees it; the first time that is loaded.

    Raises:
        BadQuery. NotFound: the set has no such model. ModelNotAvailable.
    """
    if sense not in possible(settings):
        raise NotFound(
            f"This server has no model for {OF_SENSES[sense]}.",
            next="Start it with a set that names one (NIGHTSCRIBE_MODELS).",
        )
    return wished(settings, Wish((text, *plus), (), minus), OF_SENSES[sense])


def search(
    view: View,
    engines: Engines,
    asked: Wished,
    filters: Filters,
    *,
    said: str = "",
    limit: int,
    offset: int,
    moments: int = 3,
) -> dict[str, Any]:
    """What `search --json` prints; each video also has a `strip`, of the nearest moments.

    Raises:
        BadQuery: see `make_query`. Misconfigured: what the lake has is of another model.
    """
    answered = found(
        engines.settings, view.lake, asked, text=said, connection=view.connection, limit=limit, offset=offset,
        engine=engines.engine, moments=max(moments, STRIP_MOMENTS), **filters.options(),
    )  # fmt: skip
    if answered["fallback_reason"]:
        engines.heard(answered["fallback_reason"])
    for video in answered["videos"]:
        nearest = sorted(video["moments"], key=lambda moment: -moment["similarity"])[:moments]
        marks = [{**moment, "snippet": f"similarity {moment['similarity']:.2f}", "marks": []} for moment in nearest]
        video["strip"] = strip_of(sorted(marks, key=lambda moment: moment["start_ms"]), video["duration_ms"])
        video["moments"] = video["moments"][:moments]
    return answered
