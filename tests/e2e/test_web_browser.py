"""The web app in a real browser: from a search to the word that is being said, by mouse, by keyboard, on a phone."""

from __future__ import annotations

import re

import pytest
from browsed import GUESSED, LONG, PHONE, QUIET, address  # noqa: F401
from browser import browser, open_page  # noqa: F401
from web_archive import BANK, COPIED, PERSIAN, SOUND, archive  # noqa: F401

INSIDE = """line => {
    const box = document.getElementById('lines').getBoundingClientRect(), own = line.getBoundingClientRect();
    return own.top >= box.top - 1 && own.bottom <= box.bottom + 1;
}"""
SPOKEN = """until => new Promise(done => {
    const seen = [];
    const look = () => {
        const word = document.querySelector('.speaking');
        if (word && seen.at(-1) !== word.textContent) seen.push(word.textContent);
        document.getElementById('player').currentTime > until ? done(seen) : requestAnimationFrame(look);
    };
    look();
})"""


def now(page):
    """Seconds that the player is at, when it knows its video."""
    page.wait_for_function("() => document.getElementById('player').readyState >= 1")
    return page.evaluate("document.getElementById('player').currentTime")


def wait_until_playing(page, beyond):
    page.wait_for_function(
        "beyond => { const p = document.getElementById('player'); return !p.paused && p.currentTime > beyond; }",
        arg=beyond,
    )


def wait_until_at(page, seconds):
    page.wait_for_function("at => Math.abs(document.getElementById('player').currentTime - at) < 0.6", arg=seconds)


def test_from_a_search_to_the_word(open_page):
    page = open_page("/")
    page.get_by_label("Words to look for").fill('"interest rates"')
    page.get_by_role("button", name="Search").click()
    page.wait_for_url(re.compile("q=%22interest"))
    moment = page.locator("a.moment").first
    assert moment.locator("mark").all_inner_texts() == ["interest rates", "interest rates"]
    moment.click()
    wait_until_playing(page, 1.7)  # the hit is at 2.6 s, and is played from a second before
    assert now(page) < 6
    page.wait_for_selector("#l0.now .speaking")
    spoken = page.evaluate(SPOKEN, 3.6)
    said = "the central bank left interest rates high".split()
    assert spoken == said[said.index(spoken[0]) : said.index(spoken[-1]) + 1]
    assert "rates" in spoken
    assert page.evaluate("[...document.getElementById('player').textTracks].map(t => t.mode)") == ["showing"]


def test_a_moments_address_is_marked_at_once(open_page):
    page = open_page(f"/watch/{BANK}?at=6200")
    page.wait_for_selector("#l1.now")
    wait_until_at(page, 5.2)


def test_the_transcript_follows_until_the_reader_scrolls_and_again_when_asked(open_page):
    page = open_page(f"/watch/{LONG}?at=30000")
    page.locator("#l30 p span").first.click()
    wait_until_playing(page, 30.2)
    page.wait_for_selector("#l30.now")
    assert page.locator("#l30").evaluate(INSIDE)
    page.locator("#lines").hover()
    page.mouse.wheel(0, -5000)
    resume = page.get_by_role("button", name="Follow the speech")
    resume.wait_for()
    page.wait_for_selector("#l32.now")
    assert not page.locator("#l32").evaluate(INSIDE)
    assert page.evaluate("document.getElementById('lines').scrollTop") < 50
    resume.click()
    assert page.locator(".line.now").evaluate(INSIDE)
    assert resume.is_hidden()


def test_a_click_on_a_word_plays_from_it(open_page):
    page = open_page(f"/watch/{BANK}")
    page.locator("#l1 p span", has_text="said").click()
    wait_until_playing(page, 6.6)
    assert now(page) < 9


def test_search_within_goes_from_hit_to_hit(open_page):
    page = open_page(f"/watch/{BANK}")
    page.get_by_label("Search in this video").fill("rates")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.getElementById('count').textContent === '1 of 2'")
    assert "q=rates" in page.url
    page.get_by_role("button", name="Next hit").click()
    assert page.locator("#count").inner_text() == "2 of 2"
    assert page.locator(".hit.chosen").evaluate("word => word.closest('.line').id") == "l2"
    wait_until_at(page, 6.4)
    page.get_by_role("button", name="Next hit").click()
    assert page.locator("#count").inner_text() == "1 of 2"
    page.get_by_label("Search in this video").fill("penguin")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.getElementById('count').textContent === 'Not said here'")
    assert page.locator(".hit").count() == 0
    page.get_by_label("Search in this video").fill("centralbank")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.getElementById('count').textContent === '1 of 1 for “central bank”'")
    assert page.locator(".hit").all_inner_texts() == ["central", "bank"]


def test_a_range_stops_at_its_end(open_page):
    page = open_page(f"/watch/{BANK}?at=2000&to=3000")
    page.get_by_label("Search in this video").click()
    page.evaluate("document.getElementById('player').play()")
    page.wait_for_function(
        "() => document.getElementById('player').currentTime > 2.9 && document.getElementById('player').paused"
    )
    assert now(page) < 3.6


def test_a_video_that_does_not_play_gets_a_copy_and_starts_at_the_moment(open_page):
    page = open_page(f"/watch/{COPIED}?at=20000")
    page.wait_for_function(
        "() => document.getElementById('player').currentSrc.endsWith('web.mp4') && document.getElementById('player').readyState >= 2",
        timeout=60_000,
    )
    assert 18.5 < now(page) < 24
    assert page.locator("#making").is_hidden()


def test_where_no_copy_can_be_made_the_file_itself_is_played_and_the_page_says_so(open_page):
    page = open_page(f"/watch/{GUESSED}")
    assert page.locator("#stage").get_attribute("data-plays") == "perhaps"
    page.wait_for_function("() => document.getElementById('player').currentSrc.endsWith('web.mp4')", timeout=60_000)
    page.route("**/web-copy", lambda route: route.fulfill(status=422, json={"error": {"message": "It is too long."}}))
    page.reload()
    page.wait_for_function(
        "() => document.getElementById('player').currentSrc.endsWith('original') && document.getElementById('player').readyState >= 2"
    )
    said = page.locator("#making").inner_text()
    assert said == "The file itself is played; words may not be where they are said. It is too long."


@pytest.mark.parametrize("video_id", [SOUND, QUIET])
def test_sound_alone_has_a_waveform_to_go_along(open_page, video_id):
    page = open_page(f"/watch/{video_id}?q=tone")
    page.wait_for_function("() => document.getElementById('player').duration > 3.9")
    wave = page.locator(".timeline image")
    assert wave.get_attribute("href") == f"/media/{video_id}/waveform.svg"
    assert page.request.get(wave.get_attribute("href")).ok
    assert page.locator(".timeline .mark").get_attribute("x") == "450.0"  # the word is said after 1.8 of 4 seconds
    box = page.locator(".timeline > svg").bounding_box()
    assert box["height"] > 50
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 10)
    wait_until_playing(page, 2.0)
    assert now(page) < 3.9
    assert 490 < float(page.locator("#playhead").get_attribute("x1")) < 1000


def test_by_keyboard_alone(open_page):
    page = open_page("/?q=interest+rates")
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "q"
    page.keyboard.press("Control+A")
    page.keyboard.type("the bank le", delay=20)
    page.wait_for_selector("#suggestions li")
    page.keyboard.press("ArrowDown")
    assert page.get_by_label("Words to look for").get_attribute("aria-activedescendant") == "suggestion-0"
    page.keyboard.press("Escape")
    page.keyboard.press("Control+A")
    page.keyboard.type("rates")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("q=rates"))
    page.wait_for_selector("a.moment")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.className") == "moment"
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(f"/watch/{BANK}"))
    wait_until_playing(page, 2.1)
    page.keyboard.press("Space")
    page.wait_for_function("() => document.getElementById('player').paused")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.closest('.line').id") == "l1"
    page.keyboard.press("Space")
    page.wait_for_function("() => !document.getElementById('player').paused")
    assert page.evaluate("document.activeElement.closest('.line').id") == "l1"
    page.keyboard.press("Space")
    page.wait_for_function("() => document.getElementById('player').paused")
    page.keyboard.press("Enter")
    wait_until_playing(page, 5.0)
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "within"


def test_arrows_choose_among_radio_buttons(open_page):
    page = open_page("/?q=rates")
    page.get_by_label("All words").focus()
    page.keyboard.press("ArrowDown")
    assert page.get_by_label("Phrase").is_checked()
    page.keyboard.press("ArrowUp")
    assert page.get_by_label("All words").is_checked()
    assert page.evaluate("document.activeElement.name") == "mode"


def test_arrows_begin_at_the_line_that_is_shown(open_page):
    page = open_page(f"/watch/{LONG}?at=30000")
    wait_until_at(page, 29)
    page.keyboard.press("ArrowDown")
    assert 29 <= page.evaluate("Number(document.activeElement.closest('.line').id.slice(1))") < 40


NO_CLIPBOARD = "Object.defineProperty(navigator, 'clipboard', { value: undefined })"  # as on a page without TLS


def test_where_there_is_no_clipboard_what_is_to_be_copied_is_marked(open_page):
    page = open_page(f"/watch/{BANK}?at=6200")
    page.evaluate(NO_CLIPBOARD)
    page.get_by_role("button", name="Link to this moment").click()
    page.get_by_role("button", name="Press Ctrl C").wait_for()
    field = page.get_by_label("Address")
    assert field.evaluate("one => one.value.slice(one.selectionStart, one.selectionEnd)") == field.input_value()
    assert "?at=" in field.input_value()
    assert field.evaluate("one => one === document.activeElement")
    page.goto("/analytics/hours")
    page.evaluate(NO_CLIPBOARD)
    page.get_by_text("SQL", exact=True).last.click()
    page.get_by_role("button", name="Copy").click()
    page.get_by_role("button", name="Press Ctrl C").wait_for()
    assert page.evaluate("String(getSelection())").strip() == page.locator("code").inner_text().strip()


FAIL = """code => {
    const video = document.getElementById('player');
    Object.defineProperty(video, 'error', { value: { code }, configurable: true });
    video.dispatchEvent(new Event('error'));
    delete video.error;
}"""


def playing_at_thirty(open_page, asked):
    """A video opened at its third second and sent on to the thirtieth; questions for a copy are answered and noted."""
    page = open_page(f"/watch/{LONG}?at=3000")

    def copied(route):
        asked.append(route.request.method)
        route.fulfill(json={"state": "ready", "progress": 1.0, "error": None})

    page.route("**/web-copy", copied)
    page.route("**/web.mp4", lambda route: route.continue_(url=route.request.url.replace("web.mp4", "original")))
    page.locator("#l30 p span").first.click()
    wait_until_playing(page, 30.2)
    return page


def test_a_copy_goes_on_at_the_place_that_was_played(open_page):
    asked = []
    page = playing_at_thirty(open_page, asked)
    page.evaluate(FAIL, 3)  # the original cannot be decoded further
    page.wait_for_function("() => document.getElementById('player').currentSrc.endsWith('web.mp4')")
    wait_until_playing(page, 30.2)
    assert now(page) < 45
    assert asked == ["POST"]


def test_a_connection_that_breaks_off_wants_no_copy_and_is_tried_again(open_page):
    asked = []
    page = playing_at_thirty(open_page, asked)
    page.evaluate("document.getElementById('player').addEventListener('emptied', () => { window.anew = true; })")
    page.evaluate(FAIL, 2)
    assert "The connection broke off." in page.locator("#making").inner_text()
    page.get_by_role("button", name="Try again").click()
    page.wait_for_function("() => window.anew")
    wait_until_playing(page, 30.2)
    assert now(page) < 45
    assert page.locator("#making").is_hidden()
    assert asked == []


def test_on_a_phone_the_video_stays_in_sight_and_the_page_follows(open_page):
    page = open_page(f"/watch/{LONG}", **PHONE)
    page.locator("#l5 p span").first.tap()
    wait_until_playing(page, 5)
    page.locator("#l30 .time").evaluate("link => link.click()")
    wait_until_playing(page, 30.1)
    page.wait_for_selector("#l31.now")
    place = page.locator(".line.now").bounding_box()
    frame = page.locator(".frame").bounding_box()
    assert 0 <= frame["y"] < 10
    assert frame["y"] + frame["height"] <= place["y"] + 1
    assert place["y"] + place["height"] <= 780


def test_right_to_left_lines_run_right_to_left(open_page):
    page = open_page(f"/watch/{PERSIAN}")
    line = page.locator(".line").first
    time, text = line.locator(".time").bounding_box(), line.locator("p").bounding_box()
    assert time["x"] > text["x"]
    assert line.locator("p").evaluate("p => getComputedStyle(p).direction") == "rtl"


def test_without_script_reading_and_searching_go_on(open_page):
    page = open_page("/", java_script_enabled=False)
    page.get_by_label("Words to look for").fill("governor")
    page.keyboard.press("Enter")
    page.locator("a.moment").click()
    assert page.locator(".line").count() == 3
    assert page.locator(".hit").all_inner_texts() == ["governor"]
    page.get_by_label("Search in this video").fill("rates")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("q=rates"))
    assert page.locator(".hit").all_inner_texts() == ["rates", "rates"]
    assert page.locator("#count").inner_text() == "2 hits"
