"""Subtitles beside videos, under names that players take: one file a video and format, through every change around it."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from subtitled import files, say, video_id_of, write  # noqa: F401

from tasks.forget import find_videos, forget
from tasks.settings import Settings
from tasks.subtitle_files import write_subtitles

# As an earlier version wrote them.
OLD = {
    "vtt": "WEBVTT\n\nNOTE made by Nightscribe; machine transcript, language en\n\n00:00.000 --> 00:01.000\nold words\n",
    "srt": "1\n00:00:00,000 --> 00:00:01,000\nold words\n",
}
LEDGER = ".nightscribe-subtitles"
both = pytest.mark.parametrize("format", ["vtt", "srt"])


class Killed(BaseException):
    """In place of SIGKILL: nothing of the program handles it."""


class Bucket:
    """A folder of videos, and a lake that knows what they say."""

    def __init__(self, folder: Path, lake, say) -> None:
        self.folder, self.lake, self.put = folder, lake, say
        self.generations = itertools.count(10**16, 10**9)
        folder.mkdir()

    def id(self, key: str) -> str:
        return video_id_of(key, self.folder.as_uri())

    def say(self, key: str, text: str = "hello world", **fields: Any) -> str:
        path = self.folder / key
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"video")
        return self.put(key, text, bucket=self.folder.as_uri(), last_generation=next(self.generations), **fields)

    def lose(self, key: str) -> None:
        """The video leaves the bucket, and a scan sees that."""
        self.say(key, "", status="gone")
        (self.folder / key).unlink()

    def by_earlier_version(self, name: str) -> None:
        path = self.folder / name
        path.write_text(OLD[name[-3:]])
        if name.endswith(".srt"):
            with (path.parent / LEDGER).open("a") as ledger:
                ledger.write(json.dumps(path.name) + "\n")

    def write(self, *only: str, format: str = "vtt", **settings: Any) -> dict[str, Any]:
        return write(self.lake, None, format, [self.id(key) for key in only] or None, **settings)

    def forget(self, *keys: str) -> int:
        settings = Settings(lake=self.lake.uri, scratch=self.folder.parent / "scratch")
        certificate = forget(self.lake, settings, find_videos(self.lake, keys), names=keys)
        assert certificate.complete, certificate.left
        return certificate.subtitles

    @property
    def subtitles(self) -> list[str]:
        return [name for name in files(self.folder) if name.endswith((".vtt", ".srt", ".part"))]

    def words(self, name: str) -> str:
        return (self.folder / name).read_text().splitlines()[-1]


@pytest.fixture
def bucket(tmp_path, lake, say) -> Bucket:
    return Bucket(tmp_path / "bucket ü", lake, say)


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
        patched.setattr("tasks.subtitle_files.remove", lambda path: (_ for _ in ()).throw(PermissionError(13, "no")))
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
    "step", ["tasks.subtitle_files.claim", "tasks.subtitle_files.os.replace", "tasks.subtitle_files.remove"]
)
@pytest.mark.parametrize("before", [True, False])
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
@pytest.mark.parametrize("name", ["talk.mp4", "talk.en", "talk.de", "talk"])
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
        patched.setattr("tasks.subtitle_files.os.replace", lambda *a: (_ for _ in ()).throw(Killed))
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
