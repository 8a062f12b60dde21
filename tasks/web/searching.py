"""Searches as the web app shows them: the answer of either engine, with a strip of every hit over each video's length."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any, Literal

from tasks.errors import SearchUnavailable
from tasks.search.answer import answer, duck, elastic
from tasks.search.engine import EngineName
from tasks.search.filters import Filters
from tasks.search.lag import SearchIndex, search_index
from tasks.search.places import USUAL, Place
from tasks.settings import Settings
from tasks.web.filters import choices
from tasks.web.snapshots import View

Mode = Literal["words", "any", "phrase"]
STRIP_MARKS = 120  # of a strip, at most; closer ones are merged
STRIP_MOMENTS = 100  # that an engine is asked for to draw a strip; Elasticsearch gives no more
MOST_TOPICS = 4
PATIENCE_S = 5.0  # with Elasticsearch, for a person who waits
REST_S = 15.0  # after it did not answer, it is left alone so long
INDEX_FRESH_S = 3.0  # what it says of its index is not asked anew for so long


@dataclass
class Engines:
    """Which engine is asked. One that did not answer is not asked again for a while: a page would wait for it each time."""

    settings: Settings
    _resting_until: float = 0.0
    _why: str | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _asking: threading.Lock = field(default_factory=threading.Lock)
    _index: tuple[float, SearchIndex] | None = None

    def __post_init__(self) -> None:
        patience = min(PATIENCE_S, self.settings.elasticsearch_timeout_s)
        self.settings = self.settings.model_copy(update={"elasticsearch_timeout_s": patience})

    @property
    def engine(self) -> EngineName:
        """The engine to ask now."""
        with self._lock:
            return "duckdb" if time.monotonic() < self._resting_until else "auto"

    def heard(self, reason: str | None) -> str | None:
        """Take over why Elasticsearch did not answer, if so; returns the reason that holds now."""
        with self._lock:
            if reason is not None:
                self._resting_until, self._why = time.monotonic() + REST_S, reason
            return self._why if time.monotonic() < self._resting_until else None

    def index(self) -> SearchIndex:
        """What Elasticsearch says of its index, asked by one at a time; while it rests, that it cannot be reached."""
        with self._asking:
            if self._index is not None and time.monotonic() < self._index[0]:
                return self._index[1]
            found = SearchIndex() if self.engine == "duckdb" else search_index(self.settings)
            self._index = time.monotonic() + (INDEX_FRESH_S if found.reachable else REST_S), found
            return found


def search(
    view: View,
    engines: Engines,
    text: str,
    filters: Filters,
    *,
    mode: Mode = "words",
    exact: bool = False,
    typos: bool = False,
    video: str | None = None,
    places: tuple[Place, ...] = USUAL,
    limit: int = 10,
    offset: int = 0,
    moments: int = 3,
) -> dict[str, Any]:
    """What `search --json` prints; each video also has a `strip` (see `strip_of`).

    Raises:
        BadQuery: see `make_query`.
    """
    found = answer(
        engines.settings, view.lake, text, engine=engines.engine, connection=view.connection,
        phrase=mode == "phrase", any_word=mode == "any", stems=not exact, typos=typos, video=video, places=places,
        limit=limit, offset=offset, moments=max(moments, STRIP_MOMENTS), **filters.options(),
    )  # fmt: skip
    reason = engines.heard(found["fallback_reason"])
    for video_found in found["videos"]:
        marked = video_found["moments"]
        if video_found["moments_total"] > len(marked):  # a long one: the lake knows where all of them are
            all_over = spread(
                view,
                engines.settings,
                text,
                video_found["video_id"],
                mode=mode,
                exact=exact,
                typos=typos,
                places=places,
            )
            marked = all_over or marked  # nothing where Elasticsearch knows a video that this snapshot has not
        video_found["strip"] = strip_of(marked, video_found["duration_ms"])
        video_found["moments"] = video_found["moments"][:moments]
    if found["engine"] == "duckdb" and reason and not found["fallback_reason"]:
        found["fallback_reason"] = reason
    return found


def spread(
    view: View,
    settings: Settings,
    text: str,
    video_id: str,
    *,
    mode: Mode,
    exact: bool,
    typos: bool,
    places: tuple[Place, ...] = USUAL,
) -> list[dict[str, Any]]:
    """Moments all over a video: the first in each part of it, with the number of those `together` in that part."""
    found = answer(
        settings, view.lake, text, engine="duckdb", connection=view.connection, phrase=mode == "phrase",
        any_word=mode == "any", stems=not exact, typos=typos, video=video_id, places=places, limit=1, moments=STRIP_MARKS,
        spread=True,
    )  # fmt: skip
    return [moment for video in found["videos"] for moment in video["moments"]]


def strip_of(moments: list[dict[str, Any]], duration_ms: int | None) -> list[dict[str, Any]]:
    """Marks over a video's length: `start_ms`, `share` of the length (0 to 1), `hits` merged in it, `text` of the first."""
    if not duration_ms:
        return []
    marks: dict[int, dict[str, Any]] = {}
    for moment in moments:
        together = moment.get("together")
        for number, time_ms in enumerate(moment["times"][: 1 if together else None]):
            share = min(1.0, time_ms / duration_ms)
            slot = int(share * (STRIP_MARKS - 1))
            if slot in marks:
                marks[slot]["hits"] += together or 1
            else:
                marks[slot] = {
                    "start_ms": time_ms, "share": round(share, 4), "hits": together or 1, "text": _near_mark(moment, number),
                }  # fmt: skip
    return [marks[slot] for slot in sorted(marks)]


def _near_mark(moment: dict[str, Any], number: int, around: int = 40) -> str:
    """The words around a mark; around the first one where marks have grown together and cannot be told apart."""
    snippet: str = moment["snippet"]
    marks = moment["marks"]
    if not marks:
        return snippet
    begin, end = marks[number if len(marks) == len(moment["times"]) else 0]
    left, right = max(0, begin - around), min(len(snippet), end + around)
    return ("…" if left else "") + snippet[left:right].strip() + ("…" if right < len(snippet) else "")


def suggest(view: View, engines: Engines, begun: str, *, limit: int = 8) -> dict[str, Any]:
    """What somebody may be typing: `videos` by their titles (`video_id`, `key`, `title`), `topics` (`label`, `videos`)."""
    start = begun.strip().lower()
    topics = [
        {"label": label, "videos": count}
        for label, count in choices(view).topics
        if start and label.lower().startswith(start)
    ]
    return {"videos": _titles(view, engines, begun, limit), "topics": topics[:MOST_TOPICS]}


def _titles(view: View, engines: Engines, begun: str, limit: int) -> list[dict[str, Any]]:
    settings = engines.settings
    if settings.elasticsearch_url and engines.engine != "duckdb":
        try:
            with elastic(settings, view.lake) as asked:
                return asked.titles(begun, limit)
        except SearchUnavailable as error:
            engines.heard(str(error))
    return duck(view.lake, view.connection).titles(begun, limit)
