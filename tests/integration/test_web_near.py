"""What is to be seen or heard is searched in the web app too, by the same model and with the same filters."""

from __future__ import annotations

import httpx
import pytest
from cards import card
from contract.archive import Archive
from made_media import make
from sessions import cut
from web_archive import serving

from tasks.search.near import Wish, answer
from tasks.settings import Settings


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Archive:
    """A talk under a card, and one alone."""
    made = Archive(tmp_path_factory.mktemp("archive"))
    made.bucket.mkdir()
    cut(made.folder / "talk.wav", 4.0)
    title = card(made.folder / "title.png", "Harbour at dawn")
    make("-i", made.folder / "talk.wav", "-loop", "1", "-r", "5", "-t", "4", "-i", title, made.bucket / "shown.mp4")
    cut(made.bucket / "alone.wav", 3.0)
    made.run()
    return made


@pytest.fixture(scope="module")
def settings(archive) -> Settings:
    return Settings(
        lake=archive.lake.uri, scratch=archive.folder / "web", catalog=archive.catalog, models="demo", device="cpu"
    )


@pytest.fixture(scope="module")
def web(settings):
    with serving(settings) as address, httpx.Client(base_url=address, timeout=60) as client:
        yield client


def test_the_api_answers_as_the_command_does(archive, settings, web):
    asked = {"q": "a red circle", "plus": ["blue", "green"], "minus": "square"}
    found = web.get("/api/near", params=asked).json()
    wish = Wish(("a red circle", "blue", "green"), (), ("square",))
    expected = answer(settings, archive.lake, wish, kind="pictures")
    names = ("query", "mode", "engine", "total_videos", "total_moments", "next")
    assert [found[name] for name in names] == [expected[name] for name in names]
    [video], [same] = found["videos"], expected["videos"]
    assert (video["key"], video["moments"][0]["similarity"]) == ("shown.mp4", same["moments"][0]["similarity"])
    assert video["strip"][0]["start_ms"] == 0
    heard = web.get("/api/near", params={"q": "a siren", "sense": "heard"}).json()
    assert {video["key"] for video in heard["videos"]} == {"shown.mp4", "alone.wav"}


def test_words_and_filters_choose_among_it(archive, web):
    word = archive.rows("SELECT word FROM words JOIN videos USING (video_id) WHERE key = 'shown.mp4' LIMIT 1")[0][0]
    said = web.get("/api/near", params={"q": "a circle", "said": word}).json()
    assert (said["total_videos"], said["query"]) == (1, f"{word} & a circle")
    assert web.get("/api/near", params={"q": "a circle", "said": "nobodysaysthis"}).json()["total_videos"] == 0
    assert web.get("/api/near", params={"q": "a circle", "until": "1999-01-01"}).json()["total_videos"] == 0


def test_the_page_shows_moments_with_pictures_and_how_near_they_are(archive, web):
    page = web.get("/", params={"q": "a red circle", "mode": "seen", "minus": "blue"}).text
    [(video_id,)] = archive.rows("SELECT video_id FROM videos WHERE key = 'shown.mp4'")
    assert f"/media/{video_id}/frame.jpg?at_ms=0" in page
    assert "similarity" in page
    assert 'value="seen" checked' in page
    assert 'name="minus" value="blue"' in page
    assert f"/watch/{video_id}?&amp;at=0" in page or f"/watch/{video_id}?at=0" in page
    assert 'value="heard"' in web.get("/").text


def test_what_cannot_be_is_a_sentence(archive, web, settings):
    wrong = web.get("/api/near", params={"q": "a circle", "sense": "smelt"})
    assert wrong.status_code == 422
    assert web.get("/api/near", params={"q": "a circle", "minus": "a circle"}).json()["error"]["code"] == "bad_query"
    page = web.get("/", params={"q": "a circle", "mode": "seen", "minus": "a circle"})
    assert (page.status_code, "nothing to look for" in page.text) == (400, True)
    other = settings.model_copy(update={"catalog": None, "scratch": archive.folder / "other"})
    other = Settings(lake=archive.lake.uri, scratch=archive.folder / "other")
    with serving(other) as address:
        refused = httpx.get(f"{address}/", params={"q": "a circle", "mode": "seen"}, timeout=60)
        assert (refused.status_code, "has no model for pictures" in refused.text) == (400, True)
        assert httpx.get(f"{address}/api/near", params={"q": "x"}, timeout=60).json()["error"]["code"] == "not_found"


def test_where_elasticsearch_is_away_the_lake_answers_and_says_so(archive, settings, monkeypatch):
    monkeypatch.setattr("tasks.search.nearest.FEW", 0)
    away = settings.model_copy(update={"elasticsearch_url": "http://127.0.0.1:1"})
    with serving(away) as address, httpx.Client(base_url=address, timeout=60) as client:
        found = client.get("/api/near", params={"q": "a red circle"}).json()
        assert (found["engine"], found["total_videos"]) == ("duckdb", 1)
        assert "does not answer" in found["fallback_reason"]
        again = client.get("/api/near", params={"q": "a red circle"}).json()
        assert (again["engine"], again["total_videos"]) == ("duckdb", 1), "not asked again for a while"
        shown = found["videos"][0]["video_id"]
        like = client.get(f"/api/videos/{shown}/like", params={"kind": "sounds"}).json()
        assert like["engine"] == "duckdb"
        page = client.get("/", params={"mode": "seen", "q": "a red circle"})
        assert (page.status_code, f"/watch/{shown}" in page.text) == (200, True)
