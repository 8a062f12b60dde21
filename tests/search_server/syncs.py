"""What tests of a sync share: a lake that is kept in step with a real server, and a look at both."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from search_server.fixtures import index_prefix, search_client, search_server
from search_server.proxy import Proxy, proxied
from tasks.lake.store import Lake
from tasks.lake.views import connect
from tasks.search.elastic.documents import current
from tasks.search.elastic.index import live_index
from tasks.search.elastic.syncer import Syncer
from tasks.search.elastic.verify import verify
from tasks.settings import Settings

__all__ = [
    "LONG",
    "differences",
    "index_of",
    "index_prefix",
    "indexed",
    "proxy",
    "search_client",
    "search_server",
    "settings",
    "syncer",
    "video_id",
]

LONG = " ".join(f"word{n}" for n in range(200))


@pytest.fixture
def settings(search_server, index_prefix, monkeypatch) -> Settings:
    monkeypatch.setattr("tasks.search.trial.DRAWN", 2)
    return Settings(elasticsearch_url=search_server.url, elasticsearch_prefix=index_prefix)


@pytest.fixture
def proxy(search_server) -> Iterator[Proxy]:
    """A way to the server on which tests put obstacles."""
    with proxied(search_server.url) as made:
        yield made


@pytest.fixture
def syncer(lake: Lake, settings: Settings) -> Syncer:
    return Syncer.of(lake, settings)


@pytest.fixture
def indexed(syncer: Syncer) -> Callable[[], dict[str, list[int]]]:
    """What the index has at this moment, by realtime gets of every id there may be: video to passage numbers."""

    def look() -> dict[str, list[int]]:
        index = live_index(syncer.client, syncer.names)
        assert index is not None
        found: dict[str, list[int]] = {}
        for video in current(connect(syncer.lake)):
            ids = [video.video_id, *(f"{video.video_id}:{n}" for n in range(20))]
            docs = [d for d in syncer.client.mget(index=index, ids=ids)["docs"] if d.get("found")]
            if docs:
                found[video.video_id] = [d["_source"]["part_no"] for d in docs if d["_source"]["kind"] == "passage"]
                assert {d["_source"]["generation"] for d in docs} == {video.generation}
                assert {d["_version"] for d in docs} == {video.generation}
        return found

    return look


def index_of(syncer: Syncer) -> str:
    index = live_index(syncer.client, syncer.names)
    assert index is not None
    return index


def differences(syncer: Syncer) -> list[Any]:
    return verify(syncer, index_of(syncer))


def video_id(key: str) -> str:
    return key.encode().hex()[:20].ljust(20, "0")
