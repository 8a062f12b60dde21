"""Subtitles beside videos among files of others, through kills, and when videos are forgotten."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from beside import LEDGER, OLD, Bucket, Killed, both, bucket  # noqa: F401
from conftest import rarely
from subtitled import files, say, video_id_of, write  # noqa: F401

from tasks.erasure.forget import forget
from tasks.settings import Settings

# -- files of others ----------------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("content", ["by hand\n", "", "WEBVTT\n\n00:00.000 --> 00:01.000\nmade by Nightscribe\n"])
def test_a_file_of_somebody_else_stays_and_the_video_has_its_subtitles_all_the_same(bucket, format, content):
    video = bucket.say("talk.mp4", "from the video")
    theirs = bucket.folder / f"talk.en.{format}"
    theirs.write_text(content)
    for _ in range(2):
        done = bucket.write(format=format)
        assert theirs.read_text() == content
        assert bucket.words(f"talk.mp4.{format}") == "from the video"
        assert done["notes"] == [
            {
                "video_id": video,
                "key": "talk.mp4",
                "reason": f"{theirs} was not written by Nightscribe; its subtitles are in {bucket.folder / f'talk.mp4.{format}'}",
            }
        ]
    theirs.unlink()
    bucket.write(format=format)
    assert bucket.subtitles == [f"talk.en.{format}"]


@both
def test_where_both_names_are_taken_the_video_is_skipped_and_says_so(bucket, format):
    bucket.say("talk.mp4")
    bucket.say("z.mp4")
    for name in (f"talk.en.{format}", f"talk.mp4.{format}", f"talk.de.{format}", f"talk.{format}"):
        (bucket.folder / name).write_text("by hand")
    done = bucket.write(format=format)
    here = bucket.folder
    reason = f"{here / f'talk.en.{format}'} and {here / f'talk.mp4.{format}'} were not written by Nightscribe"
    assert [item["reason"] for item in done["skipped"]] == [reason]
    assert [item["key"] for item in done["written"]] == ["z.mp4"]
    assert bucket.forget("talk.mp4") == 0
    assert len(bucket.subtitles) == 5


def test_subtitles_in_other_languages_by_hand_are_no_matter(bucket):
    bucket.say("talk.mp4")
    for name in ("talk.de.vtt", "talk.vtt", "talk.en.forced.vtt", "talk.mp4.vtt"):
        (bucket.folder / name).write_text("by hand")
    bucket.write()
    bucket.write()
    assert bucket.forget("talk.mp4") == 1
    assert bucket.subtitles == ["talk.de.vtt", "talk.en.forced.vtt", "talk.mp4.vtt", "talk.vtt"]


def test_a_file_that_cannot_be_removed_is_said(bucket, monkeypatch):
    bucket.say("talk.mp4")
    bucket.by_earlier_version("talk.mp4.vtt")
    with monkeypatch.context() as patched:
        patched.setattr("tasks.subtitles.files.remove", lambda path: (_ for _ in ()).throw(PermissionError(13, "no")))
        done = bucket.write()
    assert [item["reason"] for item in done["notes"]] == [
        f"{bucket.folder / 'talk.mp4.vtt'} is out of date and cannot be removed: no"
    ]
    assert bucket.subtitles == ["talk.en.vtt", "talk.mp4.vtt"]
    bucket.write()
    assert bucket.subtitles == ["talk.en.vtt"]


# -- killed -------------------------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize(
    "step", ["tasks.subtitles.files.claim", "tasks.subtitles.files.os.replace", "tasks.subtitles.files.remove"]
)
@pytest.mark.parametrize("before", [True, *rarely(False)])
def test_killed_at_any_step_it_is_run_again(bucket, monkeypatch, format, step, before):
    bucket.say("talk.mp4", "new words")
    bucket.by_earlier_version(f"talk.mp4.{format}")
    owner, _, name = step.rpartition(".")
    function = os.replace if name == "replace" else getattr(__import__(owner, fromlist=[name]), name)

    def killed(*arguments):
        if not before:
            function(*arguments)
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(step, killed)
        if name != "remove":
            patched.setattr(Path, "unlink", lambda *a, **o: None)  # nothing cleans up
        with pytest.raises(Killed):
            bucket.write(format=format)
    assert any(name in bucket.subtitles for name in (f"talk.en.{format}", f"talk.mp4.{format}"))
    done = bucket.write(format=format)
    assert (done["skipped"], done["notes"]) == ([], [])
    assert bucket.subtitles == [f"talk.en.{format}"]
    assert bucket.words(f"talk.en.{format}") == "new words"


def test_half_a_line_in_the_ledger_costs_no_other(bucket):
    bucket.say("a.mp4")
    bucket.write(format="srt")
    with (bucket.folder / LEDGER).open("a") as ledger:
        ledger.write('["b.en.s')
    bucket.say("c.mp4")
    bucket.write("c.mp4", format="srt")
    done = bucket.write(format="srt")
    assert ([item["key"] for item in done["written"]], done["skipped"]) == (["a.mp4", "c.mp4"], [])


# -- forgetting ---------------------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("name", ["talk.mp4", "talk.en", *rarely("talk.de", "talk")])
def test_forgetting_finds_every_name_that_a_file_may_have(bucket, format, name):
    # Written under this name, and never again: the language changed since, a neighbour came, or the setting.
    languages = {"talk.de": "de", "talk": "und"}
    bucket.say("talk.mp4", "zanzibar", language=languages.get(name, "en"))
    bucket.write(format=format, subtitles_beside="long" if name == "talk.mp4" else "short")
    assert bucket.subtitles == [f"{name}.{format}"]
    bucket.say("talk.mp4", "zanzibar", language="fr")
    bucket.say("talk.mov", "other words")
    assert bucket.forget("talk.mp4") == 1
    assert bucket.subtitles == []


@both
def test_forgetting_finds_files_of_an_earlier_version(bucket, format):
    bucket.say("talk.mp4")
    bucket.by_earlier_version(f"talk.mp4.{format}")
    assert bucket.forget("talk.mp4") == 1
    assert bucket.subtitles == []


@both
def test_forgetting_finds_what_a_killed_writer_left_under_a_name_of_then(bucket, monkeypatch, format):
    bucket.say("talk.mp4", "zanzibar")
    with monkeypatch.context() as patched:
        patched.setattr("tasks.subtitles.files.os.replace", lambda *a: (_ for _ in ()).throw(Killed))
        patched.setattr(Path, "unlink", lambda *a, **o: None)
        with pytest.raises(Killed):
            bucket.write(format=format)
    assert len(bucket.subtitles) == 1
    bucket.say("talk.mp4", "zanzibar", language="de")
    bucket.forget("talk.mp4")
    assert bucket.subtitles == []


@both
def test_forgetting_one_of_two_leaves_the_other_its_file(bucket, format):
    bucket.say("talk.mp4", "hello world")
    bucket.say("talk.mov", "hello world")
    bucket.write(format=format)
    assert bucket.forget("talk.mp4") == 1
    assert bucket.subtitles == [f"talk.mov.{format}"]
    (bucket.folder / "talk.mp4").unlink()
    bucket.write(format=format)
    assert bucket.subtitles == [f"talk.en.{format}"]
    assert bucket.forget("talk.mov") == 1
    assert bucket.subtitles == []


@both
def test_forgetting_after_the_bucket_was_moved_takes_the_file_along(bucket, format):
    bucket.say("talk.mp4", "zanzibar")
    bucket.write(format=format)
    moved = Bucket.__new__(Bucket)
    moved.__dict__.update(bucket.__dict__, folder=bucket.folder.with_name("moved"))
    bucket.folder.rename(moved.folder)
    moved.say("talk.mp4", "zanzibar")
    settings = Settings(lake=moved.lake.uri, scratch=moved.folder.parent / "scratch")
    assert forget(moved.lake, settings, [moved.id("talk.mp4")]).subtitles == 1
    assert moved.subtitles == []
