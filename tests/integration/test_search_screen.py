"""What is to be read, on the screen and in titles, is found together with what is said: by both engines, and where it was found."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from conftest import on_screen
from finding import find, marked
from search_server.engines import both, engines, index_prefix, search_client, search_server, settings  # noqa: F401

from tasks.erasure.forget import find_videos, forget
from tasks.errors import BadQuery
from tasks.lake.commit import commit
from tasks.lake.store import Lake
from tasks.lake.views import connect
from tasks.lake.vocabulary import said_words
from tasks.records import Outcome
from tasks.search.near import Wished
from tasks.search.near import found as seen
from tasks.search.near_kinds import KINDS
from tasks.search.places import places_of
from tasks.search.query import make_query
from tasks.settings import Settings

SLIDES = ((0, 5000, "Harbour at dawn\nPart 2"), (5000, 9000, "Harbour at dawn\nthe tide of elections\nrises in 1984"))


@pytest.fixture
def put(lake: Lake, result: Callable[..., Any]) -> Callable[..., str]:
    """Commits a video that says a text and shows some."""

    def committed(key: str, said: str, *shown: tuple[int, int, str], **fields: Any) -> str:
        video_id = key.encode().hex()[:20].ljust(20, "0")
        made = result(said, key=key, video_id=video_id, **fields)
        commit(lake, [on_screen(made, *shown)], run_id="r", device="cpu")
        return video_id

    return committed


@pytest.fixture
def archive(put) -> None:
    put("slides.mp4", "good morning and welcome to this talk about the sea", *SLIDES, title="On tides")
    put("said.mp4", "the harbour lies there at dawn and at the election", title="The harbour, an election")
    put("subtitled.mp4", "we will vote at the harbour", (0, 2400, "we will vote at the harbour"), title="Vote")
    put("mute.mp4", "", (0, 4000, "Harbour lights"), title="Lights", status="no_speech")


def found(answer: dict[str, Any]) -> dict[str, list[tuple[str, int, str]]]:
    """By video, of each moment its place, its time, and what is marked."""
    return {
        video["key"]: [(m["place"], m["start_ms"], "|".join(marked(m))) for m in video["moments"]]
        for video in answer["videos"]
    }


def test_a_word_is_found_where_it_is_said_and_where_it_stands(archive, lake):
    answer = find(lake, "harbour", moments=10)
    assert found(answer) == {
        "slides.mp4": [("screen", 0, "Harbour")],
        "said.mp4": [("speech", 400, "harbour")],
        "subtitled.mp4": [("speech", 2000, "harbour")],
        "mute.mp4": [("screen", 0, "Harbour")],
    }
    assert answer["total_moments"] == 4
    only = find(lake, "harbour", places=("screen",))
    names = ("slides.mp4", "subtitled.mp4", "mute.mp4")
    assert {key: place for key, [(place, _, _)] in found(only).items()} == dict.fromkeys(names, "screen")
    assert found(find(lake, "harbour", places=("title",))) == {"said.mp4": [("title", 0, "harbour,")]}


QUESTIONS: list[tuple[str, dict[str, Any], dict[str, list[tuple[str, int, str]]]]] = [
    ("harbour part", {}, {"slides.mp4": [("screen", 0, "Harbour|Part")]}),
    ("at dawn part 2", {"phrase": True}, {"slides.mp4": [("screen", 0, "at dawn Part 2")]}),
    ("tide of elections rises", {"phrase": True}, {"slides.mp4": [("screen", 5000, "tide of elections rises")]}),
    ("election", {}, {"slides.mp4": [("screen", 5000, "elections")], "said.mp4": [("speech", 3600, "election")]}),
    ("election", {"stems": False}, {"said.mp4": [("speech", 3600, "election")]}),
    ("nineteen eighty four", {}, {}),
    ("1984", {}, {"slides.mp4": [("screen", 5000, "1984")]}),
    ("harbor", {"typos": True, "places": ("screen", "title")}, {
        "slides.mp4": [("screen", 0, "Harbour")], "subtitled.mp4": [("screen", 0, "harbour")],
        "said.mp4": [("title", 0, "harbour,")], "mute.mp4": [("screen", 0, "Harbour")],
    }),
    ("elections", {"places": ("title",)}, {"said.mp4": [("title", 0, "election")]}),
    ("elect*", {"places": ("speech", "title")}, {"said.mp4": [("title", 0, "election"), ("speech", 3600, "election")]}),
    ("tides vote", {"any_word": True, "places": ("title",)}, {
        "slides.mp4": [("title", 0, "tides")], "subtitled.mp4": [("title", 0, "Vote")],
    }),
    ("harbour election", {"phrase": True, "places": ("title",)}, {}),
    ("harbour an election", {"phrase": True, "places": ("title",)}, {"said.mp4": [("title", 0, "harbour, an election")]}),
    ("lights", {}, {"mute.mp4": [("screen", 0, "lights")]}),
    ("lights", {"places": ("speech",)}, {}),
]  # fmt: skip


def test_both_engines_find_the_same(archive, engines):
    ready = engines()
    for text, options, expected in QUESTIONS:
        assert found(both(ready, text, **options)) == expected, (text, options)


def test_what_is_shown_later_is_brought_to_the_index(put, lake, engines, result):
    video_id = put("talk.mp4", "a talk about nothing")
    assert found(both(engines(), "harbour")) == {}
    [(last,)] = connect(lake).execute("SELECT max(generation) FROM videos").fetchall()
    made = result("a talk about nothing", key="talk.mp4", video_id=video_id, last_generation=last)
    commit(lake, [on_screen(made, *SLIDES)], run_id="r", device="cpu")
    assert found(both(engines(), "harbour")) == {"talk.mp4": [("screen", 0, "Harbour")]}


def test_a_moment_on_the_screen_counts_less_than_one_that_is_said(put, engines):
    for key in ("shown.mp4", "zsaid.mp4"):
        shown = [(0, 1000, "sunrise")] if key == "shown.mp4" else []
        put(key, "sunrise" if key == "zsaid.mp4" else "nothing", *shown)
    for engine in engines():
        assert list(found(engine.search(make_query("sunrise")))) == ["zsaid.mp4", "shown.mp4"]
        assert list(found(engine.search(make_query("sunrise", screen_weight=3.0)))) == ["shown.mp4", "zsaid.mp4"]


def test_where_nothing_is_said_stems_are_of_the_language_of_what_stands_there(put, engines):
    put("mute.mp4", "", (0, 1000, "Harbour lights"), status="no_speech", language="en")
    put("stumm.mp4", "", (0, 1000, "alte Häuser"), status="no_audio", language="de")
    ready = engines()
    assert found(both(ready, "light", languages=("en", "de"))) == {"mute.mp4": [("screen", 0, "lights")]}
    assert found(both(ready, "haus", languages=("en", "de"))) == {"stumm.mp4": [("screen", 0, "Häuser")]}


def test_titles_are_told_with_numbers_and_stand_at_no_time(archive, lake, tmp_path):
    [video] = find(lake, "harbour", places=("title",))["videos"]
    assert json.dumps(video["moments"][0]["confidence"]) == "1.0"
    settings = Settings(lake=lake.uri, scratch=tmp_path / "scratch")
    with pytest.raises(BadQuery, match="at no time"):
        seen(
            settings,
            lake,
            Wished("a car", KINDS["pictures"], np.ones(4), {}, lambda near: None),
            text="harbour",
            places=("title",),
        )


def test_rows_from_before_there_were_terms_are_no_error(put, lake, result, engines):
    made = result("a talk", key="old.mp4", video_id="0" * 20)
    shown = on_screen(made, (0, 1000, "Harbour"))
    rows = [
        row | dict.fromkeys(("text_no", "carried", "terms", "carried_terms"))
        for row in shown.outcomes["screen"].rows["screen"]
    ]
    commit(
        lake,
        [replace(shown, outcomes=shown.outcomes | {"screen": Outcome({"screen": rows}, 0.0)})],
        run_id="r",
        device="cpu",
    )
    assert found(both(engines(), "harbour")) == {}


def test_words_on_the_screen_are_forgotten_with_their_video(archive, lake, tmp_path):
    settings = Settings(lake=lake.uri, scratch=str(tmp_path / "scratch"), _env_file=None)
    asked = ["dawn", "tide", "lights"]
    assert said_words(connect(lake), asked) == set(asked)
    forget(lake, settings, find_videos(lake, ["slides.mp4"]))
    assert said_words(connect(lake), asked) == {"dawn", "lights"}
    assert found(find(lake, "tide")) == {}


def test_places_are_named_as_they_are():
    assert places_of("title, speech") == ("speech", "title")
    with pytest.raises(BadQuery, match="speech, screen, title"):
        places_of("speech,subtitles")
    with pytest.raises(BadQuery):
        places_of(",")
