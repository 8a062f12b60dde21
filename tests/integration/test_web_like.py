"""From a moment of a video to others that look or sound like it, and what is to be heard along a video."""

from __future__ import annotations

import httpx
import pytest
from cards import card
from contract.archive import Archive
from made_media import make
from sessions import cut
from web_archive import serving

from tasks.settings import Settings


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Archive:
    """Two talks under the same card, and one alone."""
    made = Archive(tmp_path_factory.mktemp("archive"))
    made.bucket.mkdir()
    title = card(made.folder / "title.png", "Harbour at dawn")
    for number, name in enumerate(("one.mp4", "two.mp4")):
        cut(made.folder / f"{name}.wav", 4.0 + number)
        film = ("-loop", "1", "-r", "5", "-t", 4 + number, "-i", title)
        make("-i", made.folder / f"{name}.wav", *film, made.bucket / name)
    cut(made.bucket / "alone.wav", 3.0)
    made.run()
    return made


@pytest.fixture(scope="module")
def web(archive):
    settings = Settings(lake=archive.lake.uri, scratch=archive.folder / "web")
    with serving(settings) as address, httpx.Client(base_url=address, timeout=60) as client:
        yield client


def of(archive: Archive, key: str) -> str:
    return archive.rows(f"SELECT video_id FROM videos WHERE key = '{key}'")[0][0]


def test_the_watch_page_leads_to_what_is_like_it(archive, web):
    one = of(archive, "one.mp4")
    page = web.get(f"/watch/{one}?at=1500").text
    assert f'href="/like/{one}?at=1500&amp;kind=pictures"' in page
    assert f'href="/like/{one}?at=1500&amp;kind=sounds"' in page
    alone = web.get(f"/watch/{of(archive, 'alone.wav')}").text
    assert "kind=sounds" in alone
    assert "kind=pictures" not in alone


def test_the_same_picture_of_another_video_comes_first(archive, web):
    one, two = of(archive, "one.mp4"), of(archive, "two.mp4")
    found = web.get(f"/api/videos/{one}/like", params={"at_ms": 1500}).json()
    assert (found["mode"], found["total_videos"]) == ("picture", 1)
    [first] = found["videos"]
    assert (first["video_id"], first["moments"][0]["start_ms"]) == (two, 0)
    assert first["moments"][0]["similarity"] > 0.99
    page = web.get(f"/like/{one}?at=1500").text
    assert "More that looks like this" in page
    assert f"/watch/{two}?at=0" in page
    assert f"/media/{two}/frame.jpg?at_ms=0" in page


def test_sounds_are_compared_with_sounds(archive, web):
    found = web.get(f"/api/videos/{of(archive, 'one.mp4')}/like", params={"kind": "sounds"}).json()
    assert found["mode"] == "sound"
    assert {video["key"] for video in found["videos"]} == {"two.mp4", "alone.wav"}
    assert "More that sounds like this" in web.get(f"/like/{of(archive, 'one.mp4')}?kind=sounds").text


def test_what_cannot_be_is_said(archive, web):
    alone = of(archive, "alone.wav")
    answer = web.get(f"/api/videos/{alone}/like")
    assert (answer.status_code, "has no frames" in answer.text) == (404, True)
    assert web.get(f"/like/{alone}").status_code == 404
    assert web.get("/like/nothing").status_code == 404
    assert web.get(f"/api/videos/{alone}/like", params={"kind": "smells"}).status_code == 422


def test_sounds_stand_along_the_video_and_in_the_transcript(archive, web):
    one = of(archive, "one.mp4")
    sounds = web.get(f"/api/videos/{one}/transcript").json()["sounds"]
    rows = archive.rows(
        "SELECT label, start_ms, end_ms FROM sound_events JOIN videos USING (video_id) WHERE key = 'one.mp4' ORDER BY 2"
    )
    assert [(event["label"], event["start_ms"], event["end_ms"]) for event in sounds] == rows
    page = web.get(f"/watch/{one}").text
    assert f'aria-label="{rows[0][0]} to be heard, from 0:00' in page
    assert ", and what is to be heard" in page
