"""The same questions to both engines, whose answers must be the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from search_server.fixtures import index_prefix, search_client, search_server
from search_server.syncs import settings
from tasks.lake.store import Lake
from tasks.search.answer import duck, elastic
from tasks.search.elastic.sync import sync
from tasks.search.engine import Engine
from tasks.search.query import make_query, read_synonyms
from tasks.settings import Settings

__all__ = ["both", "engines", "essence", "index_prefix", "search_client", "search_server", "settings", "times"]

SYNONYMS = read_synonyms(["uk, united kingdom, britain"])


@pytest.fixture
def engines(lake: Lake, settings: Settings) -> Iterator[Callable[[], tuple[Engine, Engine]]]:
    """Both engines on what the lake has now."""
    opened: list[Any] = []

    def up() -> tuple[Engine, Engine]:
        assert sync(lake, settings).outcome == "done"
        searcher = elastic(settings, lake)
        opened.append(searcher)
        return duck(lake), searcher.__enter__()

    yield up
    for searcher in opened:
        searcher.__exit__(None, None, None)


def essence(found: dict[str, Any]) -> dict[str, Any]:
    """What both must agree on: all but the engine's name and the order and score of videos."""
    videos = sorted(found["videos"], key=lambda video: video["video_id"])
    return {
        **{name: found[name] for name in ("query", "mode", "total_videos", "total_moments", "next")},
        "videos": [{name: value for name, value in video.items() if name != "score"} for video in videos],
    }


def both(engines: tuple[Engine, Engine], text: str, **options: Any) -> dict[str, Any]:
    options = {"limit": 100, "moments": 100, "synonyms": SYNONYMS, **options}
    query = make_query(text, **options)
    on_lake, on_elastic = (engine.search(query) for engine in engines)
    assert on_lake.keys() == on_elastic.keys()
    assert essence(on_elastic) == essence(on_lake), text
    return on_lake


def times(found: dict[str, Any]) -> dict[str, list[int]]:
    return {video["key"]: [at for moment in video["moments"] for at in moment["times"]] for video in found["videos"]}
