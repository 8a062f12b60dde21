"""Names of subtitles beside videos: as players look for them, and never one for two videos."""

from __future__ import annotations

import itertools
import random
import unicodedata

import pytest

from tasks.subtitles.names import Neighbours, is_short_name, long_name, short_name
from tasks.text.languages import SHORT, language_code


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("en", "en"), ("EN", "en"), ("eng", "en"), ("en-GB", "en"), ("en_US", "en"), ("pt-BR", "pt"), ("por", "pt"),
        ("ger", "de"), ("deu", "de"), ("fre", "fr"), ("zh-Hant-TW", "zh"), ("cmn", "zh"), ("iw", "he"), ("fil", "fil"), ("yue", "yue"),
        (" de ", "de"), ("sr-Latn", "sr"), ("nb", "nb"),
        (None, None), ("", None), ("und", None), ("zxx", None), ("mul", None), ("mis", None), ("qaa", None), ("xx", None),
        ("English", None), ("e", None), ("../../x", None), ("a/b", None), ("e.n", None), ("-", None), ("日本", None),
    ],
)  # fmt: skip
def test_languages_have_the_code_that_players_know(language: str | None, code: str | None):
    assert language_code(language) == code


def test_the_table_of_languages_is_that_of_iso_639():
    assert len(set(SHORT.values())) == 185  # 184 of ISO 639-1, and `sh`
    assert all(len(long) == 3 and len(short) == 2 for long, short in SHORT.items())


@pytest.mark.parametrize(
    ("video", "language", "name"),
    [
        ("Movie (2019).mp4", "en", "Movie (2019).en.vtt"),
        ("Movie (2019).mp4", "en-GB", "Movie (2019).en.vtt"),
        ("Movie (2019).mp4", "und", "Movie (2019).vtt"),
        ("Movie (2019).mp4", None, "Movie (2019).vtt"),
        ("Show.S01E02.1080p.mkv", "deu", "Show.S01E02.1080p.de.vtt"),
        ("Dr. No", "en", "Dr. No.en.vtt"),
        ("TALK.MP4", "en", "TALK.en.vtt"),
        (".mp4", "en", ".mp4.en.vtt"),
        ("日本語.webm", "ja", "日本語.ja.vtt"),
    ],
)
def test_the_short_name_is_that_of_the_video_without_its_extension_with_its_language(video, language, name):
    assert short_name(video, language, "vtt") == name
    assert is_short_name(name, video, "vtt")
    assert long_name(video, "srt") == f"{video}.srt"


@pytest.mark.parametrize(
    "others",
    [
        ["talk.mov"],
        ["Talk.mp4"],
        ["TALK.MOV"],
        ["talk.en.mp4"],
        ["talk.pt-BR.mov"],
        ["talk.mp4.mov"],
        ["talk"],
        ["talk.ts"],
    ],
)
def test_a_video_with_a_neighbour_that_might_have_the_same_name_is_not_alone(others: list[str]):
    videos = ["talk.mp4", *others]
    assert [Neighbours(videos).leave_alone(video) for video in videos] == [False] * len(videos)


@pytest.mark.parametrize(
    "others", [[], ["talk.mp4"], ["talk2.mp4"], ["talk.part2.mp4"], ["talks.mov"], ["a talk.mp4"], ["talk.720p.mp4"]]
)
def test_others_leave_it_alone(others: list[str]):
    videos = ["talk.mp4", *others]
    assert all(Neighbours(videos).leave_alone(video) for video in videos)


def test_forms_of_unicode_that_look_the_same_are_the_same():
    videos = [unicodedata.normalize(form, f"été.{end}") for form, end in (("NFC", "mp4"), ("NFD", "mov"))]
    assert not any(Neighbours(videos).leave_alone(video) for video in videos)


def test_no_two_videos_ever_have_one_name_whatever_their_languages():
    # All names that a video's subtitles may have, of any of these languages, beside those of every other one.
    dice = random.Random(7)
    languages = [None, "en", "de", "ts", "fil"]
    ends = [
        "",
        ".mp4",
        ".mov",
        ".MP4",
        ".en",
        ".de.mp4",
        ".ts",
        ".en-GB.mov",
        ".mp4.mov",
        ".mp4.mp4",
        ".en.mp4.mp4",
        ".fil.mov",
        ".en.de.mp4",
    ]
    shorts = 0
    for _ in range(400):
        videos = sorted(
            {dice.choice(["talk", "Talk", "a", "tälk"]) + dice.choice(ends) for _ in range(dice.randrange(1, 7))}
        )
        neighbours = Neighbours(videos)
        names = {}
        for video in videos:
            names[video] = {long_name(video, "vtt")}
            if neighbours.leave_alone(video):
                names[video] |= {short_name(video, language, "vtt") for language in languages}
                shorts += 1
        for one, other in itertools.combinations(videos, 2):
            both = names[one] & names[other]
            folded = {name.casefold() for name in names[one]} & {name.casefold() for name in names[other]}
            assert not both, (one, other)
            assert not folded or one.casefold() == other.casefold(), (one, other)
    assert shorts > 300
