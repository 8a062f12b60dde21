"""What people said of a video, from sidecars of every quality."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tasks.errors import BadSidecar
from tasks.metadata import instant, make_metadata, parse_sidecar, title_of
from tasks.records import Metadata


def test_a_sidecar_is_a_json_object():
    assert parse_sidecar(b'{"title": "A talk", "tags": ["x"]}', "a.json") == {"title": "A talk", "tags": ["x"]}


def test_a_sidecar_may_begin_with_a_byte_order_mark():
    assert parse_sidecar(b'\xef\xbb\xbf{"title": "\xc3\xbc"}', "a.json") == {"title": "ü"}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[1, 2]",
        b'"title"',
        b"null",
        b"\xff\xfe{}",
        b"title: yaml",
        b"[" * 200_000,
        b'{"n": ' + b"1" * 5000 + b"}",
        b'{"title": "' + b"x" * (4 << 20) + b'"}',
    ],
    ids=["empty", "cut off", "list", "string", "null", "utf-16", "yaml", "deep", "huge number", "huge"],
)
def test_a_sidecar_that_is_none_says_which_one(data: bytes):
    with pytest.raises(BadSidecar, match=r"talks/a\.json"):
        parse_sidecar(data, "talks/a.json")


def test_a_full_sidecar_gives_everything():
    sidecar = {
        "title": "On moths",
        "description": "All of them.\nReally.",
        "tags": ["moths", "night"],
        "upload_date": "20240131",
        "language": "en",
    }
    assert make_metadata("x.mp4", sidecar, {"title": "no"}) == Metadata(
        "On moths", "All of them.\nReally.", ("moths", "night"), datetime(2024, 1, 31, tzinfo=UTC), "en"
    )


def test_without_a_sidecar_the_container_speaks():
    container = {
        "title": "Inside",
        "comment": "A note",
        "keywords": "a; b,c ,",
        "creation_time": "2020-02-03T04:05:06Z",
    }
    assert make_metadata("x.mp4", {}, container) == Metadata(
        "Inside", "A note", ("a", "b", "c"), datetime(2020, 2, 3, 4, 5, 6, tzinfo=UTC), None
    )


def test_without_anything_the_file_name_is_the_title():
    assert make_metadata("talks/On_the  night.mp4", {}, {}) == Metadata("On the night", "", (), None, None)


def test_fields_of_a_wrong_type_count_as_missing():
    sidecar = {"title": 7, "fulltitle": ["x"], "description": {}, "tags": {"a": 1}, "timestamp": True, "language": 1}
    assert make_metadata("t.mp4", sidecar, {}) == Metadata("t", "", (), None, None)


def test_tags_that_are_no_text_or_empty_are_left_out():
    assert make_metadata("t.mp4", {"tags": ["a", 1, None, " ", "b "]}, {}).tags == ("a", "b")


def test_categories_stand_in_for_tags():
    assert make_metadata("t.mp4", {"tags": [], "categories": ["Science"]}, {}).tags == ("Science",)


def test_the_first_date_that_can_be_read_counts():
    sidecar = {"published_at": "soon", "timestamp": 1_700_000_000, "upload_date": "19990101"}
    assert make_metadata("t.mp4", sidecar, {}).published_at == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


def test_text_loses_control_characters_and_halves_of_characters_but_keeps_lines():
    sidecar = {"title": "a\x00b\ud800c\x1b", "description": "one\ntwo\x0bthree"}
    made = make_metadata("t.mp4", sidecar, {})
    assert (made.title, made.description) == ("a b?c", "one\ntwo three")


def test_text_is_bounded():
    assert len(make_metadata("t.mp4", {"description": "x" * 1_000_000}, {}).description) == 100_000


@pytest.mark.parametrize(
    ("key", "title"),
    [
        ("a/b/talk.mp4", "talk"),
        ("Dr. No.mp4", "Dr. No"),
        ("Dr. No", "Dr. No"),
        ("no_extension", "no extension"),
        (".mp4", ".mp4"),
        ("ü – ñ.webm", "ü – ñ"),
        ("a.tar.gz", "a.tar"),
        ("___.mp4", "___.mp4"),
    ],
)
def test_a_title_is_made_of_the_file_name(key: str, title: str):
    assert title_of(key) == title


@pytest.mark.parametrize(
    ("value", "when"),
    [
        (1_700_000_000, datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
        (0.5, datetime(1970, 1, 1, 0, 0, 0, 500_000, tzinfo=UTC)),
        ("20240131", datetime(2024, 1, 31, tzinfo=UTC)),
        ("2024", datetime(2024, 1, 1, tzinfo=UTC)),
        ("2024-01-31", datetime(2024, 1, 31, tzinfo=UTC)),
        ("2024-01-31T10:00:00", datetime(2024, 1, 31, 10, tzinfo=UTC)),
        ("2024-01-31T10:00:00+02:00", datetime(2024, 1, 31, 8, tzinfo=UTC)),
        (" 2024-01-31T10:00:00Z ", datetime(2024, 1, 31, 10, tzinfo=UTC)),
    ],
)
def test_instants_are_read_in_every_usual_form(value: object, when: datetime):
    assert instant(value) == when
    assert instant(value).tzinfo is UTC


@pytest.mark.parametrize(
    "value",
    [None, "", "soon", "20241331", "0000", 0, -5, True, float("nan"), float("inf"), 1e300, [], {}, "2024-13-01"],
    ids=repr,
)
def test_what_is_no_instant_is_none(value: object):
    assert instant(value) is None


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
def test_an_instant_outside_the_years_1_to_9999_in_utc_is_none(text: str):
    # The lake took it, and no Python could read the row again.
    assert instant(text) is None
