"""Small parts of the web app: how times are written, what is escaped, which types are served, how ranges are read."""

from __future__ import annotations

from datetime import date

import pytest

from dashboards.forms import filters_of, search_form, whole
from dashboards.guard import is_loopback, session_of
from dashboards.render import clock, day, marked, moment, number, percent, query, render, several
from dashboards.svg import places, topic_bands
from tasks.errors import BadQuery
from tasks.lake.answers import csv_lines
from tasks.lake.views import quoted
from tasks.quantities import lasting, size
from tasks.search.filters import Filters
from tasks.web.filters import conditions
from tasks.web.media import byte_range, media_type, plays_in_browsers
from tasks.web.videos import direction, models


@pytest.mark.parametrize(
    ("ms", "place", "length"),
    [(0, "0:00", "0 s"), (300, "0:00", "0.3 s"), (999, "0:00", "1 s"), (9_960, "0:09", "10 s"),
     (65_000, "1:05", "1 min"), (3_600_000, "1:00:00", "1 h"),
     (3_723_000, "1:02:03", "1 h 2 min"), (900_000_000, "250:00:00", "250 h"), (None, "", "")],
)  # fmt: skip
def test_times_are_written_as_people_do(ms, place, length):
    assert (clock(ms), lasting(ms)) == (place, length)


def test_dates_numbers_and_sizes():
    assert day("2024-02-01T00:00:00Z") == "1 February 2024"
    assert moment("2024-02-01T14:05:09Z") == "1 February 2024, 14:05 UTC"
    assert day(None) == ""
    assert [number(value) for value in (12_345, 0.5, 1234.5, 0.00123, None)] == [
        "12,345",
        "0.5",
        "1,234.5",
        "0.00123",
        "",
    ]
    assert [size(value) for value in (0, 4_000, 21_000, 3_400_000, 12 * 10**10, None)] == [
        "0 kB", "4.0 kB", "21 kB", "3.4 MB", "120 GB", "",
    ]  # fmt: skip
    assert percent(0.854) == "85 %"
    assert (several(1, "video"), several(1200, "video")) == ("1 video", "1,200 videos")


def test_marks_are_put_around_escaped_text():
    assert marked("a <b> & c", [[2, 5], [8, 9]]) == "a <mark>&lt;b&gt;</mark> &amp; <mark>c</mark>"
    assert marked("<i>", []) == "&lt;i&gt;"


def test_a_query_leaves_out_what_is_empty_and_replaces():
    assert query({"q": "a b&c", "topic": "", "page": 2}, page=3) == "q=a+b%26c&page=3"


def test_every_template_value_is_escaped():
    page = render("problem.html", title="<t>", status=400, message="<m>", following='"<f>')
    assert "<t>" not in page
    assert "<m>" not in page
    assert "&#34;&lt;f&gt;" in page


@pytest.mark.parametrize(
    ("header", "size_bytes", "expected"),
    [(None, 10, None), ("bytes=0-3", 10, (0, 4)), ("bytes=4-", 10, (4, 10)), ("bytes=-3", 10, (7, 10)),
     ("bytes=-30", 10, (0, 10)), ("bytes=2-99", 10, (2, 10)), ("bytes=-", 10, None), ("bytes=3-2", 10, None),
     ("bytes=a-b", 10, None), ("bytes=٣-٤", 10, None), (f"bytes={'9' * 30}-", 10, None)],
)  # fmt: skip
def test_ranges(header, size_bytes, expected):
    assert byte_range(header, size_bytes) == expected


@pytest.mark.parametrize(
    ("header", "size_bytes"), [("bytes=10-", 10), ("bytes=-0", 10), ("bytes=0-", 0), ("bytes=99-100", 10)]
)
def test_ranges_of_which_nothing_is_there(header, size_bytes):
    with pytest.raises(ValueError, match="no such bytes"):
        byte_range(header, size_bytes)


@pytest.mark.parametrize(
    ("container", "video", "audio", "kind", "plays"),
    [
        ("mov,mp4,m4a,3gp,3g2,mj2", "h264", "aac", "video/mp4", True),
        ("mov,mp4,m4a,3gp,3g2,mj2", None, "aac", "audio/mp4", True),
        ("mov,mp4,m4a,3gp,3g2,mj2", "hevc", "aac", "video/mp4", False),
        ("matroska,webm", "vp9", "opus", "video/webm", True),
        ("matroska,webm", "h264", "flac", "video/webm", False),
        ("avi", "mpeg4", "mp3", "application/octet-stream", False),
        ("mp3", None, "mp3", "audio/mpeg", True),
        ("wav", None, "pcm_s16le", "audio/wav", True),
        (None, None, None, "application/octet-stream", False),
    ],
)
def test_what_browsers_play(container, video, audio, kind, plays):
    row = {"container": container, "video_codec": video, "audio_codec": audio, "clock": None, "pixels": None}
    assert (media_type(row), plays_in_browsers(row)) == (kind, plays)


@pytest.mark.parametrize(
    ("pixels", "clock", "plays"),
    [
        ("yuv420p", "steady", True),
        ("yuvj420p", "steady", True),
        ("yuv422p", "steady", False),
        ("yuv444p", "steady", False),
        ("yuv420p10le", "steady", False),
        ("yuv420p", "offset", False),
        ("yuv420p", "jumps", False),
        ("yuv420p", "estimated", False),
    ],
)
def test_browsers_play_few_pixel_formats_and_clocks(pixels, clock, plays):
    row = {"container": "mov,mp4", "video_codec": "h264", "audio_codec": "aac", "clock": clock, "pixels": pixels}
    assert plays_in_browsers(row) is plays


def test_direction_is_the_languages_else_the_texts():
    assert [direction(code) for code in ("en", "fa", "ar-EG", "he_IL", "ur")] == ["ltr", "rtl", "rtl", "rtl", "rtl"]
    assert direction(None, "12 سلام") == "rtl"
    assert direction("", "¡hola!") == "ltr"
    assert direction(None) == "ltr"


def test_models_of_a_row_that_was_made_otherwise():
    assert models(None) == models("[1]") == models("{") == models('{"acoustic": "x"}')


def test_filters_as_sql_have_their_values_as_literals():
    filters = Filters("it's", date(2024, 1, 1), date(2024, 2, 1), "EN_gb", 0.5)
    sql = " AND ".join(conditions(filters))
    for part in ("lower('it''s')", ">= '2024-01-01'", "< '2024-02-01'::DATE + 1", "'en-gb'", ">= 0.5"):
        assert part in sql
    assert quoted("a\x00'b\\") == "'a''b\\'"


def test_fields_that_are_empty_are_not_set_and_those_that_are_wrong_are_refused():
    form = search_form({"q": " a ", "topic": "", "since": "", "mode": "", "page": ""})
    assert (form.q, form.mode, form.page, form.filters) == ("a", "words", 1, Filters())
    assert filters_of({"until": "2024-02-29", "min_confidence": "0.5"}).until == date(2024, 2, 29)
    for wrong in ({"since": "2024-02-30"}, {"min_confidence": "nan"}, {"min_confidence": "-1"}, {"topic": "x" * 501}):
        with pytest.raises(BadQuery):
            filters_of(wrong)
    for page in ("0", "-1", "1.5", "٣", "9" * 40):
        with pytest.raises(BadQuery):
            whole({"page": page}, "page", 1, 1, 100)


def test_csv_without_formulas():
    lines = list(csv_lines(["a", "b"], [["=1", 1], ["-x", -2.5], ["+1", None], ["ok", [1]]], formulas=False))
    assert lines == ["a,b\n", "'=1,1\n", "'-x,-2.5\n", "'+1,\n", "ok,[1]\n"]
    assert list(csv_lines(["a"], [["=1"]])) == ["a\n", "=1\n"]


def test_bands_of_one_topic_are_joined():
    windows = [
        {"label": label, "start_ms": 1000 * n, "end_ms": 1000 * n + 1000}
        for n, label in enumerate(["a", "a", "b", "a"])
    ]
    bands = topic_bands(windows, 4000)
    assert [(band["label"], band["x"], band["width"], band["series"]) for band in bands] == [
        ("a", 0.0, 500.0, 0), ("b", 500.0, 250.0, 1), ("a", 750.0, 250.0, 0),
    ]  # fmt: skip
    assert topic_bands([], 0) == []


@pytest.mark.parametrize(
    ("labels", "axis", "expected"),
    [
        (["2023-11", "2024-02", "no date"], "time", ["2023-11", "2023-12", "2024-01", "2024-02", "no date"]),
        (["2024-02-28", "2024-03-01"], "time", ["2024-02-28", "2024-02-29", "2024-03-01"]),
        (["2020-W52", "2021-W01"], "time", ["2020-W52", "2020-W53", "2021-W01"]),
        (["2021", "2023"], "time", ["2021", "2022", "2023"]),
        (["180", "210"], 10, ["180", "190", "200", "210"]),
        (["no date"], "time", ["no date"]),
        ([], "time", []),
        (["b", "a"], None, ["b", "a"]),
        (["1990-01-01", "2024-01-01"], "time", ["1990-01-01", "2024-01-01"]),
        (["2024-01", "12024-01"], "time", ["2024-01", "12024-01"]),
        (["9998", "9999"], "time", ["9998", "9999"]),
    ],
)
def test_an_axis_has_its_empty_places_too(labels, axis, expected):
    assert places(labels, axis) == expected


def test_loopback_and_sessions():
    assert [is_loopback(host) for host in ("127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost")] == [True] * 5
    assert not any(is_loopback(host) for host in ("0.0.0.0", "::", "10.0.0.1", "localhost.evil.example", ""))
    assert session_of("one") != session_of("two")
    assert "one" not in session_of("one")
