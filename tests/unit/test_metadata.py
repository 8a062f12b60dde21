"""What people said of a video, from sidecars of every quality."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tasks.errors import BadSidecar
from tasks.records import Metadata
from tasks.sources.metadata import make_metadata, parse_sidecar, title_of


def test_a_sidecar_is_a_json_object():
    assert parse_sidecar(b'{"title": "A talk", "tags": ["x"]}', "a.json") == {"title": "A talk", "tags": ["x"]}


def test_a_sidecar_may_begin_with_a_byte_order_mark():
    assert parse_sidecar(b'\xef\xbb\xbf{"title": "\xc3\xbc"}', "a.json") == {"title": "ü"}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "is not JSON: it is empty."),
        (b"{", "is not JSON: it is cut off after line 1, column 2."),
        (b'{"title": "A talk",\n "tags": ["x"', "is not JSON: it is cut off after line 2, column 14."),
        (b'{"title": "\xc3', "is not JSON: it is cut off in the middle of a character."),
        (b"[1, 2]", "holds no JSON object."),
        (b'"title"', "holds no JSON object."),
        (b"null", "holds no JSON object."),
        (b"\xff\xfe{}", "is not JSON: in line 1, column 1 there should be a value, and not '絻'."),
        (b"\xff\xfe\x00\xd8{\x00", "is not JSON: its text is not in UTF-16; save it in UTF-8."),
        (b'{"title": "\xfcber"}', "is not JSON: its text is not in UTF-8; save it in UTF-8."),
        (b"title: yaml", "is not JSON: in line 1, column 1 there should be a value, and not 't'."),
        (b'{"title": "x"} {}', "is not JSON: in line 1, column 16 there should be the end, and not '{'."),
        (
            b'{"title": "x", "n": [1 2]}',
            "is not JSON: in line 1, column 24 there should be a comma or ']', and not '2'.",
        ),
        (b"{'title': 1}", 'is not JSON: in line 1, column 2 there should be a name in quotes, and not "\'".'),
        (b"\0" * 100, "is not JSON: in line 1, column 1 there should be a value, and not '\\x00'."),
        (b"[" * 200_000, "is not JSON: it is cut off after line 1, column 200001."),
        (b"[" * 2_000_000, "is not JSON: more than 1,000,000 brackets are open at one time."),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_a_sidecar_that_is_none_says_which_one_and_why_in_plain_words(data: bytes, why: str):
    with pytest.raises(BadSidecar) as caught:
        parse_sidecar(data, "talks/a.json")
    assert str(caught.value) == f"The sidecar talks/a.json {why}"


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]
)
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_sidecar_may_be_in_any_encoding_of_unicode(encoding: str, mark: str):
    if mark and encoding in ("utf-8-sig", "utf-16", "utf-32"):
        mark = ""  # they write one themselves
    data = (mark + '{"title": "Über 山 😀"}').encode(encoding)
    assert parse_sidecar(data, "a.json") == {"title": "Über 山 😀"}


def test_a_number_of_more_digits_than_python_reads_costs_its_own_field_only():
    digits = "1" * 5000
    assert parse_sidecar(f'{{"n": {digits}, "timestamp": {digits}, "title": "x"}}'.encode(), "a.json") == {
        "timestamp": None,
        "title": "x",
    }


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
    ("sidecar", "when"),
    [
        ({"upload_date": 20200102}, datetime(2020, 1, 2, tzinfo=UTC)),
        ({"timestamp": "1577934245"}, datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ({"timestamp": -86400}, datetime(1969, 12, 31, tzinfo=UTC)),
        ({"release_date": -86400, "date": 2019}, datetime(2019, 1, 1, tzinfo=UTC)),
        ({"timestamp": 20200102, "upload_date": "20200103"}, datetime(2020, 1, 3, tzinfo=UTC)),
        ({"published_at": "01/02/2020", "upload_date": 20200103}, datetime(2020, 1, 3, tzinfo=UTC)),
    ],
)
def test_what_a_number_is_depends_on_its_field(sidecar: dict[str, object], when: datetime):
    assert make_metadata("t.mp4", sidecar, {}).published_at == when


@pytest.mark.parametrize(
    ("container", "when"),
    [
        ({"date": "2020"}, datetime(2020, 1, 1, tzinfo=UTC)),
        ({"date": "20200102"}, datetime(2020, 1, 2, tzinfo=UTC)),
        ({"tyer": "2020"}, datetime(2020, 1, 1, tzinfo=UTC)),
        ({"tdrc": "2020-01-02T03:04"}, datetime(2020, 1, 2, 3, 4, tzinfo=UTC)),
        ({"com.apple.quicktime.creationdate": "2020-01-02T03:04:05+0200"}, datetime(2020, 1, 2, 1, 4, 5, tzinfo=UTC)),
        ({"creation_time": "2020:01:02 03:04:05"}, datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ({"creation_time": "1904-01-01T00:00:00.000000Z"}, None),
        ({"creation_time": "1970-01-01T00:00:00.000000Z"}, None),
        ({"creation_time": "1970-01-01 01:00:00+0100"}, None),
        ({"creation_time": "1970-01-01T00:00:00Z", "date": "1970"}, datetime(1970, 1, 1, tzinfo=UTC)),
    ],
)
def test_the_container_says_when_unless_its_clock_was_never_set(container: dict[str, str], when: datetime | None):
    assert make_metadata("t.mp4", {}, container).published_at == when
