"""Subtitle files: right text, one file a video, and never over somebody else's."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from subtitled import files, out, say, video_id_of, write  # noqa: F401

from tasks.errors import Misconfigured
from tasks.lake.commit import commit
from tasks.subtitles.names import file_names

# -- what is written ----------------------------------------------------------------------------------------------------


def test_a_webvtt_file_says_who_made_it_and_holds_the_cues(lake, say, out):
    video = say("talks/first.mp4", "hello there | world")
    done = write(lake, out)
    assert (out / "talks" / "first.vtt").read_bytes() == (
        b"WEBVTT\n\nNOTE made by Nightscribe; machine transcript, language en\n\n"
        b"00:00:00.000 --> 00:00:03.100\nhello there world\n"
    )
    assert done["written"] == [
        {"video_id": video, "key": "talks/first.mp4", "path": str(out / "talks" / "first.vtt"), "cues": 1}
    ]
    assert (done["format"], done["skipped"], done["lint"]["cues"]) == ("vtt", [], 1)


def test_a_subrip_file_has_numbers_and_commas(lake, say, out):
    say("first.mp4", "hello there | world")
    done = write(lake, out, "srt")
    assert (out / "first.srt").read_bytes() == b"1\n00:00:00,000 --> 00:00:03,100\nhello there world\n"
    assert done["format"] == "srt"


def test_markup_and_arrows_in_words_cannot_end_a_cue(lake, say, out):
    say("a.mp4", "<script> & -->")
    write(lake, out)
    write(lake, out, "srt")
    assert (out / "a.vtt").read_text().splitlines()[-1] == "&lt;script&gt; &amp; --&gt;"
    assert (out / "a.srt").read_text().splitlines()[-1] == "‹script› & →"


def test_videos_without_speech_have_no_file(lake, say, out):
    say("silent.mp4", "", status="no_speech")
    say("broken.mp4", "", status="failed")
    assert write(lake, out)["written"] == []
    assert not out.exists()


def test_only_the_videos_asked_for_are_written(lake, say, out):
    say("a.mp4")
    wanted = say("b.mp4")
    assert [item["key"] for item in write(lake, out, video_ids=[wanted])["written"]] == ["b.mp4"]
    assert files(out) == ["b.vtt"]
    assert write(lake, out, video_ids=[])["written"] == []


def test_a_second_run_writes_the_same_files_anew(lake, say, out):
    say("a.mp4", "old words")
    for format in ("vtt", "srt"):
        write(lake, out, format)
        (out / f"a.{format}").chmod(0o600)
    say("a.mp4", "new words", last_generation=10**16)
    for format in ("vtt", "srt"):
        done = write(lake, out, format)
        assert (len(done["written"]), done["skipped"]) == (1, [])
        assert (out / f"a.{format}").read_text().splitlines()[-1] == "new words"
    assert files(out) == [".nightscribe-subtitles", "a.srt", "a.vtt"]


# -- files of others ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["vtt", "srt"])
@pytest.mark.parametrize("content", ["WEBVTT\n\n00:00.000 --> 00:01.000\nby hand\n", "", "\ud800"])
def test_a_file_that_was_there_before_is_never_overwritten(lake, say, out, format, content):
    video = say("a.mp4")
    say("b.mp4")
    out.mkdir()
    (out / f"a.{format}").write_bytes(content.encode("utf-8", "surrogatepass"))
    for _ in range(2):
        done = write(lake, out, format)
        assert done["skipped"] == [
            {"video_id": video, "key": "a.mp4", "reason": f"{out / f'a.{format}'} was not written by Nightscribe"}
        ]
        assert [item["key"] for item in done["written"]] == ["b.mp4"]
    assert (out / f"a.{format}").read_bytes() == content.encode("utf-8", "surrogatepass")


@pytest.mark.parametrize("format", ["vtt", "srt"])
def test_links_and_folders_in_the_way_are_left_alone(lake, say, out, tmp_path, format):
    say("link.mp4")
    say("dangling.mp4")
    say("folder.mp4")
    (out / f"folder.{format}").mkdir(parents=True)
    (tmp_path / "precious").write_text("precious")
    (out / f"link.{format}").symlink_to(tmp_path / "precious")
    (out / f"dangling.{format}").symlink_to(tmp_path / "unmounted")
    done = write(lake, out, format)
    assert (done["written"], len(done["skipped"])) == ([], 3)
    assert (tmp_path / "precious").read_text() == "precious"
    assert os.readlink(out / f"dangling.{format}") == str(tmp_path / "unmounted")


@pytest.mark.parametrize("separator", ["\n", "\r", "\x0b", "\x1c", "\x85", "\u2028"])
def test_a_key_with_a_line_break_cannot_claim_the_file_of_somebody_else(lake, say, tmp_path, out, separator):
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    evil = f"x{separator}talk.en.srt{separator}y.mp4"
    uri = bucket.as_uri()
    say(evil, bucket=uri)
    assert len(write(lake, None, "srt")["written"]) == 1
    (bucket / "talk.en.srt").write_text("by hand")
    say("talk.mp4", bucket=uri)
    done = write(lake, None, "srt")
    assert (bucket / "talk.en.srt").read_text() == "by hand"
    assert {item["key"]: Path(item["path"]).name for item in done["written"]} == {
        evil: f"x{separator}talk.en.srt{separator}y.en.srt",  # its own file is known again
        "talk.mp4": "talk.mp4.srt",
    }


def test_a_folder_that_cannot_be_made_is_a_clear_error(lake, say, tmp_path):
    say("a.mp4")
    (tmp_path / "file").write_text("no folder")
    done = write(lake, tmp_path / "file")
    assert (done["written"], len(done["skipped"])) == ([], 1)
    with pytest.raises(Misconfigured, match="cannot be written") as caught:
        write(lake, Path("/proc/nowhere"))
    assert caught.value.next == "Name another folder with --out."


# -- one file a video ---------------------------------------------------------------------------------------------------


def test_two_videos_with_one_base_name_have_two_files(lake, say, out):
    first, second = say("talk.mp4", "from the first"), say("talk.mov", "from the second")
    say("other/talk.mp4", "from the third")
    done = write(lake, out)
    assert files(out) == sorted([f"talk.{first[:8]}.vtt", f"talk.{second[:8]}.vtt", "other/talk.vtt"])
    assert (out / f"talk.{first[:8]}.vtt").read_text().splitlines()[-1] == "from the first"
    assert (out / f"talk.{second[:8]}.vtt").read_text().splitlines()[-1] == "from the second"
    assert len({item["path"] for item in done["written"]}) == 3


def test_names_that_differ_only_in_case_have_two_files(lake, say, out):
    say("Talk.mp4")
    say("talk.mp4")
    names = files(out) if write(lake, out)["written"] else []
    assert len({name.casefold() for name in names}) == 2


def test_one_key_in_two_buckets_has_two_files(lake, say, out):
    say("talk.mp4", bucket="s3://one")
    say("talk.mp4", bucket="s3://two")
    assert len(write(lake, out)["written"]) == 2
    assert len(files(out)) == 2


def test_runs_one_after_the_other_do_not_give_one_name_to_two_videos(lake, say, out):
    first, second = say("talk.mp4", "from the first"), say("talk.mov", "from the second")
    write(lake, out, video_ids=[first])
    write(lake, out, video_ids=[second])
    last_lines = sorted((out / name).read_text().splitlines()[-1] for name in files(out))
    assert last_lines == ["from the first", "from the second"]


def test_a_key_made_to_look_like_a_name_with_an_id_does_not_take_it():
    first, second = "a" * 20, "b" * 20
    names = file_names([(first, "talk.mp4"), (second, "talk.mov"), ("c" * 20, "talk.aaaaaaaa.mp4")], "vtt")
    assert names == {first: "talk.aaaaaaaa_.vtt", second: "talk.bbbbbbbb.vtt", "c" * 20: "talk.aaaaaaaa.vtt"}


def test_ids_that_begin_alike_still_make_two_names():
    names = file_names([("a" * 8 + "1", "talk.mp4"), ("a" * 8 + "2", "talk.mov")], "srt")
    assert names == {"a" * 8 + "1": "talk.aaaaaaaa.srt", "a" * 8 + "2": "talk.aaaaaaaa_.srt"}


# -- hostile keys -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("../../etc/passwd.mp4", "etc/passwd.vtt"),
        ("/etc/cron.mp4", "etc/cron.vtt"),
        ("a/../../b.mp4", "a/b.vtt"),
        ("..\\..\\win.mp4", "__.._win.vtt"),
        ("...", "_.vtt"),
        ("-rf.mp4", "_rf.vtt"),
        ("--out=x/-o.mp4", "_out=x/_o.vtt"),
        ("~root/.ssh.mp4", "_root/_ssh.vtt"),
        ("new\nline\r\x00\x1b[31m.mp4", "new_line___[31m.vtt"),
        ("fdp\u202e4pm.exe.mp4", "fdp_4pm.exe.vtt"),
        ("\u200fright\u2067.mp4", "_right_.vtt"),
        ('con:*?"<>|.mp4', "con_______.vtt"),
        ("dots... .mp4", "dots... .vtt"),
        ("talk 3. part two", "talk 3.vtt"),
        ("no extension", "no extension.vtt"),
        ("日本語/ü é.mp4", "日本語/ü é.vtt"),
    ],
)
def test_hostile_keys_become_plain_names(key, name):
    assert file_names([("f" * 20, key)], "vtt") == {"f" * 20: name}


def test_hostile_keys_stay_inside_the_folder(lake, say, out, tmp_path):
    keys = [
        "../up.mp4",
        "/abs.mp4",
        "a\nb.mp4",
        "-x.mp4",
        "x" * 1000 + ".mp4",
        "ü" * 1000,
        "\u202egnp.mp4",
        "a/" * 100 + "b",
    ]
    for key in keys:
        say(key)
    before = set(tmp_path.iterdir())
    done = write(lake, out)
    assert (len(done["written"]), done["skipped"]) == (8, [])
    assert set(tmp_path.iterdir()) - before == {out}
    for name in files(out):
        assert all(len(part.encode()) <= 255 and part.isprintable() for part in Path(name).parts), name


def test_long_names_that_differ_only_at_their_end_stay_apart():
    names = file_names([("a" * 20, "x" * 1000 + "1.mp4"), ("b" * 20, "x" * 1000 + "2.mp4")], "vtt")
    assert len(set(names.values())) == 2
    assert all(len(name) < 230 for name in names.values())


def test_a_folder_named_like_a_file_stops_only_one_video(lake, say, out):
    say("talk.mp4")
    say("talk.vtt/inner.mp4")
    say("zebra.mp4")
    done = write(lake, out)
    assert [item["key"] for item in done["written"]] == ["talk.mp4", "zebra.mp4"]
    assert len(done["skipped"]) == 1
    assert files(out) == ["talk.vtt", "zebra.vtt"]


# -- beside the videos --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["vtt", "srt"])
def test_beside_videos_of_one_base_name_their_whole_names_are_kept(lake, say, tmp_path, format):
    bucket = tmp_path / "my bucket ü"
    (bucket / "talks").mkdir(parents=True)
    for name in ("talk.mp4", "talk.mov"):
        (bucket / "talks" / name).write_bytes(b"video")
        say(f"talks/{name}", f"this is {name}", bucket=bucket.as_uri())
    done = write(lake, None, format)
    assert [Path(item["path"]).name for item in done["written"]] == [f"talk.mov.{format}", f"talk.mp4.{format}"]
    assert (bucket / "talks" / f"talk.mp4.{format}").read_text().splitlines()[-1] == "this is talk.mp4"
    assert (bucket / "talks" / "talk.mp4").read_bytes() == b"video"


def test_a_bucket_elsewhere_has_no_beside(lake, say, tmp_path):
    say("a.mp4", bucket="s3://archive")
    say("b.mp4", bucket=(tmp_path / "unmounted").as_uri())
    done = write(lake, None)
    assert done["written"] == []
    assert [item["reason"] for item in done["skipped"]] == [
        "the bucket is not on this machine; name a folder with --out"
    ] * 2
    assert not (tmp_path / "unmounted").exists()


def test_beside_never_leads_out_of_the_bucket(lake, say, tmp_path):
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    (tmp_path / "outside").mkdir()
    (bucket / "door").symlink_to(tmp_path / "outside")
    for key in ("../up.mp4", "door/in.mp4", f"{tmp_path}/abs.mp4"):
        say(key, bucket=bucket.as_uri())
    assert write(lake, None)["written"] == []
    assert files(tmp_path / "outside") == []
    assert not list(tmp_path.rglob("*.vtt"))


def test_beside_a_video_with_the_longest_name_is_skipped_and_the_others_are_written(lake, say, tmp_path):
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    long = "x" * 251 + ".mp4"
    for name in ("a.mp4", long, "z.mp4"):
        (bucket / name).write_bytes(b"video")
        say(name, bucket=bucket.as_uri())
    done = write(lake, None)
    assert [item["key"] for item in done["written"]] == ["a.mp4", "z.mp4"]
    assert [item["video_id"] for item in done["skipped"]] == [video_id_of(long, bucket.as_uri())]
    assert files(bucket) == ["a.en.vtt", "a.mp4", long, "z.en.vtt", "z.mp4"]


def test_beside_a_video_whose_name_is_no_utf8_the_bytes_are_kept(lake, say, tmp_path):
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    say("caf\\xe9.mp4", bucket=bucket.as_uri())
    done = write(lake, None)
    assert done["written"][0]["path"] == f"{bucket}/caf\\xe9.en.vtt", "text that can be printed"
    assert os.listdir(os.fsencode(bucket)) == [b"caf\xe9.en.vtt"]


def test_an_archive_with_a_name_of_its_own_still_knows_where_its_videos_lie(lake, result, tmp_path):
    made = replace(result("hello world", key="talk.mp4"), bucket="my archive", bucket_uri=tmp_path.as_uri())
    commit(lake, [made], run_id="r", device="cpu")
    assert [Path(item["path"]) for item in write(lake, None)["written"]] == [tmp_path / "talk.en.vtt"]
