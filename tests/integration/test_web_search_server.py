"""The web app with a real Elasticsearch behind it: the same answers as from the lake, and how far it is behind."""

from __future__ import annotations

import httpx
import pytest
from search_server.syncs import index_prefix, search_client, search_server  # noqa: F401
from web_archive import BANK, archive, serving, video, web  # noqa: F401

from tasks.lake.commit import commit
from tasks.search.elastic.sync import sync

ASKED = [
    {"q": "interest rates"}, {"q": "rates"}, {"q": "interest rates", "mode": "phrase"}, {"q": "governor film", "mode": "any"},
    {"q": "bank", "topic": "business"}, {"q": "bank", "since": "2024-03-01"}, {"q": "دنیا"}, {"q": "governer", "typos": "true"},
    {"q": "penguin"}, {"q": "govenor"},
]  # fmt: skip


@pytest.fixture
def searched(archive, search_server, index_prefix, monkeypatch):
    """A client of a server whose settings name Elasticsearch, once the archive is in it."""
    monkeypatch.setattr("tasks.search.trial.DRAWN", 2)
    named = {"elasticsearch_url": search_server.url, "elasticsearch_prefix": index_prefix}
    settings = archive.settings.model_copy(update=named)
    assert sync(archive.lake, settings).outcome == "done"
    with serving(settings) as address, httpx.Client(base_url=address, timeout=30) as client:
        yield client


def test_answers_are_those_of_the_lake_and_the_lag_is_known(searched, web, archive):
    for asked in ASKED:
        elastic, lake = (client.get("/api/search", params=asked).json() for client in (searched, web))
        assert (elastic.pop("engine"), lake.pop("engine")) == ("elasticsearch", "duckdb")
        for found in (elastic, lake):
            found["videos"].sort(key=lambda shown: shown["video_id"])  # score and order are each engine's own
            for shown in found["videos"]:
                shown.pop("score")
        assert elastic == lake, asked
    for begun in ("b", "the ba", "film"):
        both = [client.get("/api/suggest", params={"q": begun}).json() for client in (searched, web)]
        assert both[0] == both[1]
    assert "Answered by Elasticsearch" in searched.get("/?q=rates").text
    state = searched.get("/api/status").json()["search"]
    assert (state["reachable"], state["lag_videos"]) == (True, 0)
    assert "up to date" in searched.get("/operations").text
    commit(archive.lake, [video("one more bank", "9" * 20, "more.mp4", archive.bucket)], run_id="r2", device="cpu")
    assert searched.get("/api/status").json()["search"]["lag_videos"] == 1
    assert "1 video behind" in searched.get("/operations").text
