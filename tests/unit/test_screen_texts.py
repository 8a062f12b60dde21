"""Lines of frames become texts with their times; what is only said again is known."""

from __future__ import annotations

import pytest

from tasks.records import Word
from tasks.screen.reader import ScreenLine, in_order
from tasks.screen.texts import ScreenText, Shown, texts
from tasks.stages.screen.runner import screen_rows


def frame(start: int, end: int, *lines: str, score: float = 0.9) -> Shown:
    return Shown(start, end, tuple((line, score) for line in lines))


def test_a_text_that_frames_in_a_row_show_is_one_row():
    found = texts([frame(0, 2000, "Chapter One"), frame(2000, 5000, "Chapter One", "The sea"), frame(5000, 6000)], [])
    assert found == [
        ScreenText("Chapter One", 0, 5000, 0.9, 0.0),
        ScreenText("The sea", 2000, 5000, 0.9, 0.0, "Chapter One"),
    ]


def test_after_a_frame_without_it_it_is_another_one():
    frames = [frame(0, 1000, "News"), frame(1000, 2000, "Weather"), frame(2000, 3000, "News")]
    assert [(one.text, one.start_ms) for one in texts(frames, [])] == [("News", 0), ("Weather", 1000), ("News", 2000)]
    gap = [frame(0, 1000, "News"), frame(8000, 9000, "News")]
    assert [(one.start_ms, one.end_ms) for one in texts(gap, [])] == [(0, 1000), (8000, 9000)]


def test_what_is_read_a_little_differently_is_the_same_as_it_was_read_best():
    frames = [frame(0, 1000, "CHAPTER one:", score=0.7), frame(1000, 2000, "Chapter One", score=0.95)]
    assert texts(frames, []) == [ScreenText("Chapter One", 0, 2000, 0.95, 0.0)]
    assert texts([frame(0, 1000, "***", "")], []) == []


def test_of_two_texts_that_stand_together_one_carries_the_other():
    ticker = [frame(0, 1000, "News at ten", "Ticker"), frame(1000, 2000, "Elections", "today", "Ticker")]
    found = {one.text: one.carried for one in texts(ticker, [])}
    assert found == {"News at ten": "", "Ticker": "News at ten", "Elections": "Ticker", "today": "Ticker Elections"}
    twice = texts([frame(0, 1000, "Same", "between", "SAME")], [])
    assert [(one.text, one.carried) for one in twice] == [("Same", ""), ("between", "Same")]


def test_of_what_is_carried_the_last_words_are_kept():
    lines = [f"line {n} of a long slide" for n in range(20)]
    last = screen_rows(texts([frame(0, 1000, *lines)], []))[-1]
    assert last["terms"] == " line 19 of a long slide "
    assert last["carried_terms"].split()[-6:] == "line 18 of a long slide".split()
    assert len(last["carried"].split()) == 31


def test_how_much_of_it_is_said_is_known():
    words = [
        Word(word, start, start + 300, 0.9)
        for word, start in (("the", 900), ("red", 1200), ("car", 1500), ("sea", 9000))
    ]
    subtitle, title, half = texts(
        [frame(1000, 2000, "The red CAR!"), frame(2000, 3000, "Harbour"), frame(3000, 4000, "the sea")], words
    )
    assert (subtitle.spoken, title.spoken) == (1.0, 0.0)
    assert half.spoken == pytest.approx(0.5), "the sea is named six seconds later"


def test_lines_are_read_from_the_top_and_from_the_left():
    def line(text, x, y):
        return ScreenLine(text, x, y, 0.2, 0.1, 0.9)

    found = in_order([line("four", 0.5, 0.72), line("one", 0.3, 0.1), line("three", 0.1, 0.7), line("two", 0.1, 0.4)])
    assert [one.text for one in found] == ["one", "two", "three", "four"]
    assert in_order([]) == ()
