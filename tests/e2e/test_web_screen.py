"""Writing on the screen in the web app: found beside what is said, shown in the margin of the transcript and above the picture."""

from __future__ import annotations

import httpx
import pytest
from browser import browser, open_page  # noqa: F401
from contract.archive import Archive
from titled import titled
from web_archive import serving

from tasks.settings import Settings


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Archive:
    return titled(tmp_path_factory.mktemp("archive"))


@pytest.fixture(scope="module")
def address(archive):
    with serving(Settings(lake=archive.lake.uri, scratch=archive.folder / "web")) as served:
        yield served


@pytest.fixture
def titled_id(archive) -> str:
    return archive.rows("SELECT video_id FROM videos WHERE key = 'titled.mp4'")[0][0]


def test_the_api_answers_with_places_texts_and_lines(address, archive, titled_id):
    with httpx.Client(base_url=address, timeout=60) as web:
        found = web.get("/api/search", params={"q": "harbour"}).json()
        [moment] = found["videos"][0]["moments"]
        assert (moment["place"], moment["start_ms"], moment["snippet"]) == ("screen", 0, "Harbour at dawn")
        assert web.get("/api/search", params={"q": "harbour", "in": "speech,title"}).json()["total_videos"] == 0
        wrong = web.get("/api/search", params={"q": "harbour", "in": "smells"})
        assert (wrong.status_code, wrong.json()["error"]["code"]) == (400, "bad_query")
        screen = web.get(f"/api/videos/{titled_id}/screen").json()
        assert [text["text"] for text in screen["texts"][:2]] == ["Harbour at dawn", "Part 2"]
        assert screen["texts"][2]["spoken"] > 0.5
        assert {line["text"] for line in screen["lines"]} >= {"Harbour at dawn", "Part 2"}
        later = web.get(f"/api/videos/{titled_id}/screen", params={"from_ms": 4000}).json()
        assert [text["start_ms"] for text in later["texts"]] == [4000]
        assert {line["start_ms"] for line in later["lines"]} == {4000}
        hits = web.get(f"/api/videos/{titled_id}/hits", params={"q": "part"}).json()
        assert hits["screen"] == [{"start_ms": 0, "text": "Part 2"}]
        assert web.get("/api/videos/nothing/screen").status_code == 404


def test_it_is_found_and_shown_where_it_stands(open_page, titled_id):
    page = open_page("/?q=harbour")
    moment = page.locator("a.moment")
    assert moment.locator(".place").inner_text() == "on the screen"
    assert moment.locator("mark").inner_text() == "Harbour"
    moment.click()
    page.wait_for_url(f"**/watch/{titled_id}?*")
    margin = page.locator(".shown li")
    assert margin.all_inner_texts() == ["0:00 Harbour at dawn", "0:00 Part 2"], (
        "no subtitle is shown beside what is said"
    )
    page.locator(".shown li.found", has_text="Harbour at dawn").wait_for()
    assert page.locator(".shown li.found").count() == 1
    page.wait_for_function("document.getElementById('count').textContent === 'Not said here, 1 on the screen'")
    page.locator("#within").fill("part")
    page.locator(".within button").first.click()
    page.locator(".shown li.found", has_text="Part 2").wait_for()
    assert page.locator(".shown li.found").count() == 1

    page.locator("video").evaluate("video => { video.pause(); video.currentTime = 1; }")
    page.locator("#writing").click()
    first = page.locator("#layer span", has_text="Harbour at dawn")
    first.wait_for()
    layer, video = first.bounding_box(), page.locator("video").bounding_box()
    scale = min(video["width"] / 640, video["height"] / 360)
    left = video["x"] + (video["width"] - 640 * scale) / 2
    assert layer["x"] == pytest.approx(left + 40 * scale, abs=25), "where the letters are"
    page.locator("video").evaluate("video => { video.currentTime = 5; }")
    first.wait_for(state="detached")
    page.locator("#writing").click()
    assert page.locator("#layer").is_hidden()


def test_places_can_be_chosen(open_page):
    page = open_page("/?q=harbour&in=speech")
    assert page.locator(".result").count() == 0
    page.locator("select[name=in]").select_option("screen")
    page.locator("form.ask button").first.click()
    page.wait_for_url("**in=screen*")
    assert page.locator(".result").count() == 1


def test_clicking_a_text_plays_from_where_it_comes_up(open_page, titled_id):
    page = open_page(f"/watch/{titled_id}?at=6000")
    page.locator(".shown a").first.click()
    page.wait_for_function("document.getElementById('player').currentTime < 4")


def test_a_video_without_speech_shows_what_stands_on_its_screen(archive, open_page):
    [(video_id,)] = archive.rows("SELECT video_id FROM videos WHERE key = 'silent.mp4'")
    page = open_page(f"/watch/{video_id}?q=silence")
    assert page.locator(".shown li").inner_text() == "0:00 Silence please"
    page.locator(".shown li.found").wait_for()
    page.locator("#link").click()
    assert "at=" in page.locator("#address").input_value(), "all of the page works"
    page.locator("#within").fill("")
    page.locator(".within button").first.click()
    page.locator(".shown li.found").wait_for(state="detached")
