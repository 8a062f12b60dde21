"""Which keys are taken for videos: by patterns, by extensions; and what is remembered of the others."""

from __future__ import annotations

import fnmatch

import pytest

from tasks.settings import MEDIA_EXTENSIONS, Settings
from tasks.sources.candidates import Candidates, fits
from tasks.sources.left_out import MOST_EXTENSIONS, LeftOut, Unseen

TALK = "talks/Talk [dQw4w9WgXcQ].mp4"


@pytest.mark.parametrize(
    ("pattern", "key"),
    [
        # the key itself, whatever is in it
        (TALK, TALK),
        ("*?[x].mp4", "*?[x].mp4"),
        ("[!a]", "[!a]"),
        ("a]b[.mp4", "a]b[.mp4"),
        ("(a|b)+.mp4", "(a|b)+.mp4"),
        ("back\\slash.mp4", "back\\slash.mp4"),
        ("new\nline.mp4", "new\nline.mp4"),
        ("/lead.mp4", "/lead.mp4"),
        # a name as the shell hands it over, beside the key that it became
        ("caf\udce9.mp4", "caf\\xe9.mp4"),
        # folders
        ("talks", TALK),
        ("talks/", TALK),
        ("a/b", "a/b/c/d.mp4"),
        ("year [2024]/", "year [2024]/a.mp4"),
        ("202?/", "2024/a.mp4"),
        ("*/raw/", "x/y/raw/z/a.mp4"),
        # globs
        ("*", TALK),
        ("talks/*", TALK),
        ("talks/*/*.mp4", "talks/a/b/c.mp4"),
        ("talk[12].mp4", "talk1.mp4"),
        ("talk[!12].mp4", "talk3.mp4"),
        ("t?lk.mp4", "talk.mp4"),
        # brackets that are part of a name, in a glob
        ("*[dQw4w9WgXcQ].mp4", TALK),
        ("talks/*[dQw4w9WgXcQ]*", TALK),
        ("*[[]dQw4w9WgXcQ].mp4", TALK),
        ("*/[2024]/*", "x/[2024]/a.mp4"),
    ],
)
def test_a_pattern_fits(pattern, key):
    assert fits(pattern)(key)
    assert fits("nothing", pattern, "else")(key)
    assert not Candidates(Settings(exclude=(pattern,))).wanted(key)
    assert Candidates(Settings(include=(pattern,))).wanted(key)


@pytest.mark.parametrize(
    ("pattern", "key"),
    [
        (TALK, "talks/Talk d.mp4x"),
        (TALK, TALK + ".mp4"),
        ("Talk [dQw4w9WgXcQ].mp4", TALK),
        ("talks", "talks2/a.mp4"),
        ("talks", "my/talks/a.mp4"),
        ("talks/", "talks"),
        ("TALKS/*", TALK),
        ("*.mp4", "a.MP4"),
        ("talk[12].mp4", "talk3.mp4"),
        ("a.mp4", "axmp4"),
        ("a.mp4", "a.mp4\n"),
        ("", "a.mp4"),
        ("/", "a.mp4"),
    ],
)
def test_a_pattern_does_not_fit(pattern, key):
    assert not fits(pattern)(key)
    assert Candidates(Settings(exclude=(pattern,))).wanted(key)


def test_what_a_glob_fitted_it_still_fits():
    keys = ["a", "a.mp4", "b/a.mp4", "b/c/d.mkv", "[a].mp4", "a[1].mp4", "a1.mp4", "-.mp4", "b/", "?.mp4", "^a"]
    for pattern in [
        "*",
        "?",
        "a*",
        "*/*",
        "[ab]*",
        "[!a]*",
        "a[1].mp4",
        "[a-c]/*",
        "*.mp4",
        "[]a]*",
        "[",
        "a[",
        "*[^a]",
    ]:
        for key in keys:
            assert fits(pattern)(key) or not fnmatch.fnmatchcase(key, pattern), (pattern, key)


def test_of_a_pattern_that_nothing_fitted_it_is_known():
    choice = Candidates(Settings(include=("a*", "typo/*"), exclude=("*.txt", "a*", "x")))
    for key in ("a.mp4", "notes.txt", "b.mp4"):
        choice.match(key)
    assert list(choice.unmatched) == [("include", "typo/*"), ("exclude", "x")]


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("a.mp4", None),
        ("a.MP4", None),
        ("JVC/PRG001/MOV001.MOD", None),
        ("no extension", None),
        ("talk 3. part two", None),
        ("ends in a dot.", None),
        ("dir.txt/name", None),
        ("a.txt", ("extension", "txt")),
        ("a.TXT", ("extension", "txt")),
        ("a.mp4.part", ("extension", "part")),
        (".hidden.mp4", ("hidden", "")),
        ("x/._a.mp4", ("hidden", "")),
        ("a.en.srt", ("companion", "srt")),
        ("raw/a.mp4", ("pattern", "mp4")),
        ("raw/a.txt", ("pattern", "txt")),
    ],
)
def test_why_a_key_is_no_candidate(key, why):
    assert Candidates(Settings(exclude=("raw",))).left_out(key) == why


def test_extensions_may_be_set_as_people_write_them():
    choice = Candidates(Settings(media_extensions=(".MXF", "Foo")))
    assert choice.left_out("a.mxf") is None
    assert choice.left_out("a.FOO") is None
    assert choice.left_out("a.mp4") == ("extension", "mp4")


def test_media_extensions_are_written_as_they_are_compared():
    assert list(MEDIA_EXTENSIONS) == sorted(set(MEDIA_EXTENSIONS))
    usual, none = Candidates(Settings()), Candidates(Settings(media_extensions=()))
    assert all(usual.left_out(f"a.{extension.upper()}") is None for extension in MEDIA_EXTENSIONS)
    # Each by its own name, and not because it is no extension.
    assert all(none.left_out(f"a.{extension}") == ("extension", extension) for extension in MEDIA_EXTENSIONS)


def test_a_million_extensions_take_little_memory_and_the_frequent_ones_come_first():
    counts = LeftOut()
    for n in range(100_000):
        counts.count("extension", f"x{n}")
        if n % 4 == 0:
            counts.count("extension", "txt")
        if n % 10 == 9:
            counts.count("extension", "pdf")
    said = counts.as_json()
    assert said["extension"] == 135_000, "none is lost from the count"
    assert list(said["extensions"].items())[:2] == [("txt", 25_000), ("pdf", 10_000)]
    assert len(said["extensions"]) == 50
    assert len(counts.extensions) <= 2 * MOST_EXTENSIONS
    assert counts.notes()[0].startswith("135,000 objects are left out by extension: 25,000 .txt, 10,000 .pdf, 1 .x")
    assert counts.notes()[0].endswith("99,994 others.")


def test_of_a_million_links_a_few_are_named():
    counts = LeftOut()
    for n in range(10_000):
        counts.see(Unseen(f"{n}.mp4", "broken"))
        counts.see(Unseen(f"{n}.mkv", "odd", "no answer"))
    assert counts.notes() == ["10,000 links lead nowhere: 0.mp4, 1.mp4, 2.mp4 and 9,997 more."]
    (warning,) = counts.warnings()
    assert warning.startswith("10,000 objects were left out, as nothing usable can be found out about them")
    assert warning.endswith("19.mkv (no answer) and 9,980 more.")
