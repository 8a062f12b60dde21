"""What is written on the screen is read, with its times and its place, and told from what is only said again."""

from __future__ import annotations

from pathlib import Path

import pytest
from cards import card
from contract.archive import Archive
from titled import titled

from tasks.errors import ModelNotAvailable
from tasks.screen import reader
from tasks.screen.reader import load_reader


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> Archive:
    return titled(tmp_path_factory.mktemp("archive"))


def test_titles_are_read_with_their_times_and_places(archive):
    rows = archive.rows(
        "SELECT text, start_ms, end_ms, score > 0.8 FROM screen JOIN videos USING (video_id) "
        "WHERE key = 'titled.mp4' ORDER BY start_ms, text LIMIT 2"
    )
    assert rows == [("Harbour at dawn", 0, 4000, True), ("Part 2", 0, 4000, True)]
    [(x, y, width, height)] = archive.rows("SELECT x, y, width, height FROM screen_lines WHERE text = 'Part 2'")
    assert (x, y) == (pytest.approx(40 / 640, abs=0.03), pytest.approx(104 / 360, abs=0.05))
    assert 0.1 < width < 0.25
    assert 0.05 < height < 0.15


def test_what_is_only_said_again_is_known(archive):
    [(subtitle, spoken)] = archive.rows("SELECT text, spoken FROM screen WHERE start_ms = 4000")
    assert spoken > 0.6, subtitle
    [(most,)] = archive.rows("SELECT max(spoken) FROM screen WHERE start_ms = 0")
    assert most < 0.5, "small words of a title may be said by chance"


def test_where_nothing_is_written_nothing_is_read(archive):
    assert archive.having("screen_lines") == {"titled.mp4", "silent.mp4"}
    assert archive.due(stages=["screen_lines", "screen"]) == {}, "nothing is a result as well"


def test_without_the_reader_it_is_said_how_it_is_had(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "rapidocr", None)
    monkeypatch.setattr(reader, "loaded_once", lambda key, load: load())
    with pytest.raises(ModelNotAvailable, match="not installed") as caught:
        load_reader()
    assert "nightscribe[ocr]" in caught.value.next


def test_a_picture_is_read_the_same_alone_and_again(tmp_path: Path):
    read = load_reader().read
    picture = card(tmp_path / "card.png", "Interest rates", "1,250 in 2024")
    first = read(picture)
    assert [line.text for line in first] == ["Interest rates", "1,250 in 2024"]
    read(card(tmp_path / "other.png", "Something else"))
    assert read(picture) == first
    assert read(card(tmp_path / "bare.png")) == ()
