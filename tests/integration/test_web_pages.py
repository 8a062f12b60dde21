"""The pages of the web app as a browser without script gets them, and the media they show."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import httpx
import pytest
from web_archive import BANK, COPIED, EVIL, FAILED, PERSIAN, SOUND, archive, serving, web  # noqa: F401

from tasks.lake.create import create_lake
from tasks.lake.store import Lake
from tasks.settings import Settings

PAGES = [
    "/", "/?q=bank", "/?q=bank&mode=any&topic=business", "/?q=nothing+at+all", "/?q=*", "/?page=2", f"/watch/{BANK}",
    f"/watch/{BANK}?q=rates&at=3000&to=5000", f"/watch/{EVIL}?q=bank", f"/watch/{PERSIAN}", f"/watch/{FAILED}",
    f"/watch/{SOUND}", "/analytics", "/analytics/hours", "/analytics/topics", "/analytics/phrase?phrase=bank",
    "/analytics/concordance?word=bank", "/analytics/distinctive?part=1", "/operations", "/sql",
    "/sql?q=SELECT+title+FROM+videos", "/sql?q=SELEC", "/api/docs", "/login", "/nothing",
]  # fmt: skip
VOID = {"meta", "link", "input", "img", "source", "track", "br"}


class Page(HTMLParser):
    """Every element with its attributes, and the text; complains of what is not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID and not (self.open and tag in ("rect", "line", "path")):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        if tag in self.open:
            while self.open.pop() != tag:
                pass

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def page(web: httpx.Client, path: str) -> Page:
    answer = web.get(path)
    assert answer.status_code == 200, answer.text
    return Page(answer.text)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_has_no_script_or_style_of_its_own_and_asks_no_other_host(web, path):
    """The text of the archive is hostile: titles, descriptions, tags, topics, words and keys are script."""
    answer = web.get(path)
    found = Page(answer.text)
    for tag, attributes in found.elements:
        assert not [name for name in attributes if name.startswith("on") or name == "style"], (tag, attributes)
        assert tag not in ("style", "iframe", "object", "embed", "base", "i", "b")
        for name in ("src", "href", "action", "poster"):
            value = attributes.get(name)
            assert value is None or re.match(r"/(?!/)|\?|#", value), (tag, name, value)
        if tag == "script":
            assert attributes["src"].startswith("/static/")
            assert attributes["type"] == "module"
    assert "alert(1)" not in "".join(re.findall(r"<script.*?</script>", answer.text, re.DOTALL))


@pytest.mark.parametrize("path", PAGES)
def test_every_control_has_a_name_and_every_id_is_used_once(web, path):
    found = Page(web.get(path).text)
    ids = [attributes["id"] for _, attributes in found.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    labelled = {attributes.get("for") for attributes in found.all("label")}
    for control in [*found.all("textarea"), *found.all("input")]:
        if control.get("type") in ("hidden", "radio", "checkbox") or control.get("id") in labelled:
            continue
        assert control.get("name") in ("since", "until", "phrase", "word", "token"), control  # inside their labels
    if "part=1" not in path:
        assert [attributes["lang"] for attributes in found.all("html")] == ["en"]
        assert len(found.all("h1")) == 1 or path.startswith("/analytics/")


def test_results_lead_to_the_moment(web):
    found = page(web, "/?q=interest+rates&mode=phrase")
    links = [a["href"] for a in found.all("a") if a.get("class") == "moment"]
    assert links == [f"/watch/{BANK}?q=interest+rates&mode=phrase&at=2600"]
    assert found.all("img")[0]["src"] == f"/media/{BANK}/frame.jpg?at_ms=2600"
    marks = [a for a in found.all("a") if "data-at" in a]
    assert [mark["data-at"] for mark in marks] == ["0:02", "0:07"]
    assert "1 moment in 1 video" in " ".join(found.text.split())
    assert "Answered by DuckDB" in found.text


def test_the_fields_keep_what_was_asked(web):
    found = page(web, "/?q=bank&mode=any&typos=1&topic=business&since=2024-01-01")
    fields = {field["name"]: field for field in found.all("input") if field.get("type") in ("search", "date")}
    assert (fields["q"]["value"], fields["since"]["value"]) == ("bank", "2024-01-01")
    assert [field["value"] for field in found.all("input") if "checked" in field] == ["any", "1"]
    assert [option["value"] for option in found.all("option") if "selected" in option] == ["business", ""]


def test_nothing_found_offers_what_is_near(web):
    found = page(web, "/?q=govenor+rates")
    links = [a["href"] for a in found.all("a") if "governor" in (a.get("href") or "")]
    assert links[0] == "/?q=governor+rates"


def test_what_is_searched_instead_is_said_and_shown(web):
    found = page(web, "/?q=centralbank")
    assert "Nobody says “centralbank” in the archive. These are the results for central bank written apart" in (
        " ".join(found.text.split())
    )
    links = [a["href"] for a in found.all("a") if "q=central" in (a.get("href") or "")]
    assert links[0] == "/?q=central+bank"
    assert f"/watch/{BANK}?q=centralbank&at=1400" in links
    answer = web.get(f"/watch/{BANK}?q=centralbank&at=1400").text
    assert re.findall(r'class="hit">(\w+)<', answer) == ["central", "bank"]
    assert "1 hit for “central bank”</output>" in answer
    assert "</output>" in web.get(f"/watch/{BANK}?q=bankcentral").text.split("Not said here")[1]


def test_the_watch_page_has_the_words_marked_and_starts_a_second_before_the_hit(web):
    answer = web.get(f"/watch/{BANK}?q=interest+rates&mode=phrase&at=2600").text
    assert re.findall(r'class="hit">(\w+)<', answer) == ["interest", "rates", "interest", "rates"]
    assert re.findall(r'class=" unsure">(\w+)<', answer) == ["high"]
    assert f'/media/{BANK}/original#t=1.6"' in answer
    assert '<li class="line now" id="l0"' in answer
    assert "by asr-test with lm-test" in answer
    assert f"/api/videos/{BANK}/subtitles.vtt" in answer


def test_a_range_is_played_to_its_end(web):
    assert f'/media/{BANK}/original#t=2.0,5.0"' in web.get(f"/watch/{BANK}?at=3000&to=5000").text


def test_right_to_left_speech_is_shown_so(web):
    found = page(web, f"/watch/{PERSIAN}")
    [lines] = [attributes for tag, attributes in found.elements if attributes.get("id") == "lines"]
    assert (lines["dir"], lines["lang"]) == ("rtl", "fa")


def test_the_operations_page_shows_the_failure(web):
    found = page(web, "/operations")
    assert "corrupt" in found.text
    assert "It is damaged. <script>alert(1)</script>" in found.text
    assert not [form for form in found.all("form") if form.get("action") == "/operations/retry"]


def test_a_chart_is_drawn_with_its_query_and_table(web):
    found = page(web, "/analytics/phrase?phrase=interest+rates")
    assert len(found.all("rect")) == 3
    assert "2024-02: " in found.text
    assert "' rates ' AS last_word" in found.text
    assert "/analytics/phrase/data.csv?phrase=interest+rates&grain=month" in [a["href"] for a in found.all("a")]


def test_the_sql_page_shows_rows_and_errors(web):
    assert "Binder Error" in web.get("/sql", params={"q": "SELECT nothing"}).text
    found = page(web, "/sql?q=SELECT+video_id+FROM+videos+ORDER+BY+1+LIMIT+1")
    assert "0" * 20 in found.text
    assert "Talk time by topic and month" in found.text


def test_wrong_fields_are_said_and_not_dropped(web):
    for path in ("/?q=a&since=tomorrow", "/?q=a&page=0", "/?q=a&mode=regex", "/?min_confidence=2", f"/?q={'a' * 501}"):
        answer = web.get(path)
        assert answer.status_code == 400, path
        assert 'role="alert"' in answer.text


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[httpx.Client]:
    settings = Settings(lake=str(tmp_path / "none"), scratch=tmp_path / "scratch")
    with serving(settings) as address, httpx.Client(base_url=address, timeout=30) as client:
        yield client


def test_an_empty_archive_says_what_to_run_and_is_found_once_it_is_there(empty, tmp_path):
    assert "nightscribe index ~/videos" in empty.get("/").text
    assert empty.get("/api/search?q=a").json()["error"]["code"] == "misconfigured"
    create_lake(Lake(str(tmp_path / "none")))
    assert "nightscribe index ~/videos" in empty.get("/").text
    assert empty.get("/api/search?q=a").json()["total_videos"] == 0


def test_where_elasticsearch_is_away_the_lake_answers_says_why_and_is_asked_at_once_the_next_time(archive):
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, and never answers
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        settings = archive.settings.model_copy(update={"elasticsearch_url": url, "elasticsearch_timeout_s": 1.0})
        with serving(settings) as address, httpx.Client(base_url=address, timeout=30) as client:
            for patience in (10, 0.9, 0.9):
                started = time.monotonic()
                text = " ".join(Page(client.get("/?q=interest+rates").text).text.split())
                assert time.monotonic() - started < patience
                assert "1 moment in 1 video Answered by DuckDB, because Elasticsearch does not answer" in text
            assert client.get("/api/suggest?q=bank").json()["videos"][0]["video_id"] == BANK
            assert client.get("/api/status").json()["search"]["reachable"] is False


# -- media ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "status", "of", "part"),
    [
        (None, 200, None, slice(None)),
        ("bytes=0-99", 206, "bytes 0-99", slice(0, 100)),
        ("bytes=1000-", 206, "bytes 1000-{last}", slice(1000, None)),
        ("bytes=-7", 206, "bytes {last7}-{last}", slice(-7, None)),
        ("bytes=5-99999999", 206, "bytes 5-{last}", slice(5, None)),
        ("bytes=0-1,5-6", 200, None, slice(None)),
        ("bytes=9-3", 200, None, slice(None)),
        ("furlongs=1-2", 200, None, slice(None)),
    ],
)
def test_media_are_served_in_ranges(web, archive, asked, status, of, part):
    whole = (archive.bucket / "bank.mp4").read_bytes()
    answer = web.get(f"/media/{BANK}/original", headers={"Range": asked} if asked else {})
    assert answer.status_code == status
    assert answer.content == whole[part]
    last = len(whole) - 1
    expected = f"{of}/{len(whole)}".format(last=last, last7=last - 6) if of else None
    assert answer.headers.get("content-range") == expected
    assert answer.headers["content-type"] == "video/mp4"


def test_a_range_behind_the_end_is_refused_and_an_old_part_is_not_mixed_with_a_new(web, archive):
    size = (archive.bucket / "bank.mp4").stat().st_size
    answer = web.get(f"/media/{BANK}/original", headers={"Range": f"bytes={size}-"})
    assert (answer.status_code, answer.headers["content-range"]) == (416, f"bytes */{size}")
    tag = web.get(f"/media/{BANK}/original").headers["etag"]
    part = {"Range": "bytes=0-9"}
    assert web.get(f"/media/{BANK}/original", headers={**part, "If-Range": tag}).status_code == 206
    assert web.get(f"/media/{BANK}/original", headers={**part, "If-Range": '"other"'}).status_code == 200
    assert web.get(f"/media/{BANK}/original", headers={"If-None-Match": tag}).status_code == 304


@pytest.mark.parametrize(
    "path", ["/", f"/media/{BANK}/original", f"/media/{BANK}/frame.jpg", "/api/health", "/static/style.css"]
)
def test_a_head_is_that_of_the_whole_answer(web, path):
    whole, head = web.get(path), web.head(path)
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-length", "content-type", "etag"):
        assert head.headers.get(name) == whole.headers.get(name)


def test_a_frame_and_a_waveform_are_made_once(web, archive):
    first = web.get(f"/media/{BANK}/frame.jpg?at_ms=3000")
    assert (first.headers["content-type"], first.content[:3]) == ("image/jpeg", b"\xff\xd8\xff")
    kept = sorted((archive.settings.scratch / "web").glob("*.jpg"))
    assert web.get(f"/media/{BANK}/frame.jpg?at_ms=3900").content == first.content
    assert sorted((archive.settings.scratch / "web").glob("*.jpg")) == kept
    assert web.get(f"/media/{BANK}/frame.jpg?at_ms=999999999").status_code == 200
    wave = web.get(f"/media/{SOUND}/waveform.svg")
    assert wave.headers["content-type"] == "image/svg+xml"
    assert wave.text.count("V") > 900


def test_a_web_copy_is_made_on_demand_and_plays_in_ranges(web):
    address = f"/api/videos/{COPIED}/web-copy"
    assert web.get(address).json()["state"] == "none"
    assert web.post(address).json()["state"] in ("waiting", "making")
    until = time.monotonic() + 60
    while (state := web.get(address).json())["state"] in ("waiting", "making"):
        assert 0 <= state["progress"] < 1
        assert time.monotonic() < until
        time.sleep(0.1)
    assert state["state"] == "ready", state
    part = web.get(f"/media/{COPIED}/web.mp4", headers={"Range": "bytes=4-7"})
    assert (part.status_code, part.content) == (206, b"ftyp")
    assert web.post(address).json()["state"] == "ready"
