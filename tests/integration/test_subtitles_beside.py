"""Subtitles beside videos, under names that players take: one file a video and format, through every change around it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from beside import LEDGER, OLD, Bucket, Killed, both, bucket  # noqa: F401
from subtitled import files, say, video_id_of, write  # noqa: F401

from tasks.settings import Settings
from tasks.subtitles.files import write_subtitles

# -- names --------------------------------------------------------------------------------------------------------------


@both
def test_a_file_has_the_name_that_players_look_for(bucket, format):
    languages = {
        "Movie (2019).mp4": "en",
        "region.mkv": "pt-BR",
        "long.mov": "deu",
        "unknown.mp4": "und",
        "odd.mp4": "../x",
    }
    for key, language in languages.items():
        bucket.say(f"films/{key}", language=language)
    done = bucket.write(format=format)
    names = ["Movie (2019).en", "long.de", "odd", "region.pt", "unknown"]
    assert bucket.subtitles == [f"films/{name}.{format}" for name in names]
    assert [Path(item["path"]).name for item in done["written"]] == [f"{name}.{format}" for name in names]
    assert (done["replaced"], done["skipped"], done["notes"]) == ([], [], [])


def test_a_webvtt_file_beside_a_video_says_of_which_it_is(bucket):
    video = bucket.say("talk.mp4", "hello there")
    bucket.write()
    assert (bucket.folder / "talk.en.vtt").read_text() == (
        f"WEBVTT\n\nNOTE made by Nightscribe; machine transcript of {video}, language en\n\n"
        "00:00:00.000 --> 00:00:00.700\nhello there\n"
    )


@both
def test_mpv_finds_it_by_itself(bucket, format):
    if not shutil.which("mpv"):
        pytest.skip("mpv is not installed")
    keys = ["Movie (2019).mp4", "unknown.mp4", "rare.mp4", "talk.en.mp4"]
    for key, language in zip(keys, ["en-GB", "und", "fil", "de"], strict=True):
        bucket.say(key, language=language)
        made = [
            "ffmpeg",
            "-v",
            "error",
            "-y",
            "-f",
            "lavfi",
            "-i",
            "testsrc=size=64x64:rate=5",
            "-t",
            "0.4",
            bucket.folder / key,
        ]
        subprocess.run([str(part) for part in made], check=True, stdin=subprocess.DEVNULL)
    bucket.write(format=format)
    for key, language in zip(keys, ["en", None, "fil", "de"], strict=True):
        command = [
            "mpv",
            "--no-config",
            "--vo=null",
            "--ao=null",
            "--frames=1",
            "--sub-auto=exact",
            str(bucket.folder / key),
        ]
        said = subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=True, stdin=subprocess.DEVNULL
        ).stdout
        tracks = [line.split("Subs")[1].strip() for line in said.splitlines() if "Subs" in line]
        kind = {"vtt": "webvtt", "srt": "subrip"}[format]
        name = f"{key.removesuffix('.mp4')}.{language}.{format}" if language else f"{key.removesuffix('.mp4')}.{format}"
        assert tracks == [f"--sid=1 {f'--slang={language} ' if language else ''}'{name}' ({kind}) (external)"]


@both
def test_the_long_name_is_a_setting_and_can_be_changed(bucket, format):
    bucket.say("talk.mp4")
    for names, file in [("short", "talk.en"), ("long", "talk.mp4"), ("short", "talk.en")]:
        bucket.write(format=format, subtitles_beside=names)
        assert bucket.subtitles == [f"{file}.{format}"]


# -- neighbours ---------------------------------------------------------------------------------------------------------


@both
@pytest.mark.parametrize("other", ["talk.mov", "Talk.mkv", "talk.en.mp4", "talk.mp4.mov"])
def test_videos_that_might_share_a_name_have_their_long_names_whichever_is_asked_for(bucket, format, other):
    bucket.say("talk.mp4", "from the first")
    bucket.say(other, "from the second", language="de")
    for only in (["talk.mp4"], [other], []):
        bucket.write(*only, format=format)
    assert bucket.subtitles == sorted([f"talk.mp4.{format}", f"{other}.{format}"])
    assert bucket.words(f"talk.mp4.{format}") == "from the first"
    assert bucket.words(f"{other}.{format}") == "from the second"


def test_a_neighbour_counts_that_is_in_the_folder_only(bucket):
    # It was left out, or could not be heard: a player would show it the other one's subtitles.
    bucket.say("talk.mp4")
    (bucket.folder / "talk.MOV").write_bytes(b"video")
    bucket.write()
    assert bucket.subtitles == ["talk.mp4.vtt"]
    (bucket.folder / "talk.MOV").rename(bucket.folder / "talk.jpg")
    bucket.write()
    assert bucket.subtitles == ["talk.en.vtt"]


def test_videos_of_other_folders_are_no_neighbours(bucket):
    bucket.say("a/talk.mp4")
    bucket.say("b/talk.mov")
    bucket.say("talk.mkv")
    bucket.write()
    assert bucket.subtitles == ["a/talk.en.vtt", "b/talk.en.vtt", "talk.en.vtt"]


@both
def test_a_neighbour_that_comes_and_goes_changes_the_name(bucket, format):
    bucket.say("talk.mp4", "from the first")
    bucket.write(format=format)
    assert bucket.subtitles == [f"talk.en.{format}"]
    bucket.say("talk.mov", "from the second")
    done = bucket.write("talk.mov", format=format)  # the other one is renamed with it
    assert bucket.subtitles == [f"talk.mov.{format}", f"talk.mp4.{format}"]
    assert bucket.words(f"talk.mp4.{format}") == "from the first"
    assert [Path(item["path"]).name for item in done["replaced"]] == [f"talk.en.{format}"]
    bucket.lose("talk.mov")
    bucket.write(format=format)
    assert bucket.subtitles == [f"talk.en.{format}", f"talk.mov.{format}"], "what is left of a video that is gone stays"
    assert bucket.words(f"talk.en.{format}") == "from the first"
    assert bucket.forget("talk.mov") == 1
    assert bucket.subtitles == [f"talk.en.{format}"]


@both
def test_a_video_that_was_converted_takes_the_name_over(bucket, format):
    bucket.say("talk.mov", "from the first")
    bucket.write(format=format)
    bucket.lose("talk.mov")
    bucket.say("talk.mp4", "from the second")
    bucket.write("talk.mp4", format=format)
    assert bucket.subtitles == [f"talk.en.{format}"]
    assert bucket.words(f"talk.en.{format}") == "from the second"
    assert bucket.forget("talk.mov") == 0
    assert bucket.words(f"talk.en.{format}") == "from the second"
    assert bucket.forget("talk.mp4") == 1
    assert bucket.subtitles == []


def test_a_name_that_was_short_for_one_and_is_long_for_another_changes_hands(bucket):
    bucket.say("talk.mp4.mov", "from the first", language="und")
    bucket.write()
    assert bucket.subtitles == ["talk.mp4.vtt"]
    bucket.say("talk.mp4", "from the second")
    bucket.write("talk.mp4")
    assert bucket.subtitles == ["talk.mp4.mov.vtt", "talk.mp4.vtt"]
    assert bucket.words("talk.mp4.mov.vtt") == "from the first"
    assert bucket.words("talk.mp4.vtt") == "from the second"


# -- earlier names ------------------------------------------------------------------------------------------------------


@both
def test_a_file_of_an_earlier_version_is_replaced(bucket, format):
    for key in ("talk.mp4", "other/b.mp4"):
        bucket.say(key, "new words")
        bucket.by_earlier_version(f"{key}.{format}")
    done = bucket.write(format=format)
    assert bucket.subtitles == [f"other/b.en.{format}", f"talk.en.{format}"]
    assert bucket.words(f"talk.en.{format}") == "new words"
    assert sorted(Path(item["path"]).name for item in done["replaced"]) == [f"b.mp4.{format}", f"talk.mp4.{format}"]
    assert bucket.write(format=format)["replaced"] == []


@both
def test_another_language_is_another_name(bucket, format):
    bucket.say("talk.mp4", language="en")
    bucket.write(format=format)
    bucket.say("talk.mp4", "guten Tag", language="de-AT")
    bucket.write(format=format)
    assert bucket.subtitles == [f"talk.de.{format}"]
    bucket.say("talk.mp4", "hello", language="und")
    bucket.write(format=format)
    assert bucket.subtitles == [f"talk.{format}"]


def test_formats_do_not_replace_one_another(bucket):
    bucket.say("talk.mp4")
    for format in ("vtt", "srt", "vtt"):
        bucket.write(format=format)
    assert bucket.subtitles == ["talk.en.srt", "talk.en.vtt"]


def test_a_run_renews_every_name_and_a_video_asked_for_only_those_of_its_folder(bucket):
    for key in ("a/one.mp4", "a/two.mp4", "b/three.mp4"):
        bucket.say(key)
        bucket.by_earlier_version(f"{key}.vtt")
    bucket.say("a/four.mp4")
    bucket.write("a/four.mp4")
    assert bucket.subtitles == ["a/four.en.vtt", "a/one.en.vtt", "a/two.en.vtt", "b/three.mp4.vtt"]
    done = write_subtitles(bucket.lake, folder=None, format="vtt", settings=Settings(), run_id="another")
    assert [item["key"] for item in done["written"]] == ["b/three.mp4"]
    assert bucket.subtitles == ["a/four.en.vtt", "a/one.en.vtt", "a/two.en.vtt", "b/three.en.vtt"]


@both
def test_files_of_a_bucket_that_was_moved_are_still_ours(bucket, lake, say, format):
    bucket.say("talk.mp4", "from the first place")
    bucket.write(format=format)
    bucket.folder.rename(bucket.folder.with_name("moved"))
    moved = Bucket.__new__(Bucket)
    moved.__dict__.update(bucket.__dict__, folder=bucket.folder.with_name("moved"))
    moved.say("talk.mp4", "from the second place", language="de")
    moved.write(format=format)
    assert moved.subtitles == [f"talk.de.{format}"]
    moved.write(format=format, subtitles_beside="long")
    assert moved.subtitles == [f"talk.mp4.{format}"]
