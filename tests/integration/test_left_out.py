"""What a run says of what it left out: to people, in the report, in the plan; and why it found no video."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime

import pytest
from command_line import home, run  # noqa: F401
from scanning import NOW, RECIPES, empty_bucket, keep, keys, look, put

from tasks.records import Object
from tasks.runs.report import RunReport
from tasks.runs.scan import scan
from tasks.settings import Settings
from tasks.sources.bucket import open_bucket


@pytest.fixture
def folder(tmp_path):
    return empty_bucket(tmp_path)


def too_deep(folder):
    """Folders below one whose path is longer than any may be: they cannot be listed."""
    here = os.open(folder, os.O_RDONLY)
    try:
        for _ in range(20):
            os.mkdir("d" * 250, dir_fd=here)
            inner = os.open("d" * 250, os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = inner
    finally:
        os.close(here)


MIXED = (
    "a.mp4",
    "a.json",
    "a.en.vtt",
    "b.mkv",
    "1.txt",
    "2.TXT",
    "3.txt",
    "x.pdf",
    "y.jpg",
    "z.jpg",
    ".DS_Store",
    "raw/c.mp4",
)


def test_everything_that_is_listed_is_counted_once(folder):
    put(folder, *MIXED)
    (folder / "gone.mp4").symlink_to("nowhere")
    found = look(folder, exclude=("raw",))
    said = found.left_out.as_json()
    assert (found.left_out.listed, found.scanned) == (len(MIXED) + 1, 2)
    assert said == {
        "extension": 6,
        "extensions": {"txt": 3, "jpg": 2, "pdf": 1},
        "pattern": 1,
        "hidden": 1,
        "companions": 2,
        "links": {"outside": 0, "broken": 1, "circle": 0},
        "special": 0,
        "odd": 0,
        "unmatched": [],
    }
    assert list(said["extensions"]) == ["txt", "jpg", "pdf"], "the most frequent first"
    counted = sum(said[name] for name in ("extension", "pattern", "hidden", "companions", "special", "odd"))
    assert found.scanned + counted + sum(said["links"].values()) == found.left_out.listed
    assert found.left_out.notes() == [
        "6 objects are left out by extension: 3 .txt, 2 .jpg, 1 .pdf.",
        "1 link leads nowhere: gone.mp4.",
    ]


def test_what_patterns_leave_out_is_not_counted_by_extension(folder):
    put(folder, "talks/a.mp4", "talks/b.txt", "raw/c.txt", "raw/d.mp4")
    said = look(folder, include=("talks",)).left_out.as_json()
    assert (said["extensions"], said["pattern"]) == ({"txt": 1}, 2)


@pytest.mark.parametrize("name", ["Talk [dQw4w9WgXcQ].mp4", "[!x]?.mp4", "a]b[.mp4", "ends in space .mp4"])
def test_a_key_as_a_pattern_is_that_video(folder, name):
    put(folder, name, "other.mp4", "deep/other talk.mp4")
    assert keys(look(folder, include=(name,))) == {name}
    assert keys(look(folder, exclude=(name,))) == {"other.mp4", "deep/other talk.mp4"}
    (folder / name).rename(folder / "deep" / name)
    assert keys(look(folder, include=(f"deep/{name}",))) == {f"deep/{name}"}
    assert keys(look(folder, include=("deep",))) == {f"deep/{name}", "deep/other talk.mp4"}
    assert keys(look(folder, exclude=("deep/",))) == {"other.mp4"}


def test_a_video_that_is_named_by_its_key_is_not_gone_when_it_is_left_out(folder, lake):
    put(folder, "Talk [dQw4w9WgXcQ].mp4", "other.mp4")
    keep(lake, folder, look(folder, lake))
    (folder / "Talk [dQw4w9WgXcQ].mp4").unlink()
    assert look(folder, lake, exclude=("Talk [dQw4w9WgXcQ].mp4",)).gone == []
    assert len(look(folder, lake, include=("Talk [dQw4w9WgXcQ].mp4", "other.mp4")).gone) == 1


def test_patterns_that_fit_nothing_are_said_after_a_whole_listing(folder, lake):
    put(folder, "talks/a.mp4", "talks/notes.txt", "talks/.hidden", "talks/a.srt", "talks/a.json")
    exclude = ("typo/*", "*.txt", "*/.hidden", "*.srt", "talks/a.json", "TALKS")
    found = look(folder, lake, include=("talks/a.mp4", "talks/b.mp4"), exclude=exclude)
    assert found.left_out.as_json()["unmatched"] == [
        {"option": "include", "pattern": "talks/b.mp4"},
        {"option": "exclude", "pattern": "typo/*"},
        {"option": "exclude", "pattern": "TALKS"},
    ]
    assert found.left_out.notes()[0] == (
        "The include pattern 'talks/b.mp4' fits no object. Patterns are compared with whole keys, such as talks/a.mp4."
    )
    too_deep(folder)
    broken = look(folder, lake, exclude=("typo/*",))
    assert "broke off" in broken.warnings[0]
    assert broken.left_out.unmatched == [], "it may be in what was not listed"


def test_a_slice_of_a_plan_leaves_nothing_out(folder):
    settings = Settings(include=("nothing",))
    bucket = open_bucket(str(folder), settings)
    found = scan(bucket, None, RECIPES, settings, now=NOW, objects=[Object("a.txt", 1, "f"), Object("a.json", 1, "g")])
    assert (keys(found), found.left_out.notes()) == ({"a.txt"}, [])


# -- the command --------------------------------------------------------------------------------------------------------


def test_a_run_that_finds_no_video_says_why(run, home):
    put(home / "bucket", "1.txt", "2.txt", "x.pdf", "a.srt", "a.json", ".hidden.mp4", "raw/a.mp4")
    (home / "secret.mp4").write_bytes(b"x")
    (home / "bucket" / "link.mp4").symlink_to(home / "secret.mp4")
    done = run("index", "bucket", "--models", "bucket", "--exclude", "raw", "--exclude", "typo")
    assert (done.returncode, done.stdout) == (0, "Nothing to do: of 8 objects none is taken for a video.\n")
    said = [
        "3 objects are left out by extension: 2 .txt, 1 .pdf.",
        "1 link leads out of the bucket and was left out: link.mp4. The setting follow_links takes them in.",
        "The exclude pattern 'typo' fits no object. Patterns are compared with whole keys, such as talks/a.mp4.",
        "1 object is left out by the include and exclude patterns.",
        "1 object is hidden by a dot before the name.",
        "2 objects are metadata (.json) or subtitles.",
    ]
    assert done.stderr.splitlines() == [f"  note    {line}" for line in said]
    planned = run("index", "bucket", "--models", "bucket", "--exclude", "raw", "--exclude", "typo", "--plan")
    assert planned.stdout.splitlines() == ["Nothing to do.", *said]
    report = json.loads(run("index", "bucket", "--models", "bucket", "--exclude", "raw", "--json").stdout)
    assert (report["listed"], report["scanned"]) == (8, 0)
    assert report["left_out"] == {
        "extension": 3,
        "extensions": {"txt": 2, "pdf": 1},
        "pattern": 1,
        "hidden": 1,
        "companions": 2,
        "links": {"outside": 1, "broken": 0, "circle": 0},
        "special": 0,
        "odd": 0,
        "unmatched": [],
    }
    for command in ("index", "backfill"):
        plan = json.loads(run(command, "bucket", "--models", "bucket", "--plan", "--json").stdout)
        assert plan["left_out"] == {**report["left_out"], "pattern": 0}
        assert plan["listed"] == 8


def test_an_empty_bucket_says_that_it_is_empty(run, home):
    done = run("index", "bucket", "--models", "bucket")
    assert (done.stdout, done.stderr) == ("Nothing to do: the bucket has no object.\n", "")


def test_a_plan_with_work_says_what_is_left_out_before_its_last_line(run, home):
    put(home / "bucket", "a.mp4", "1.txt")
    for command, last in (("index", "Nothing was done. Without --plan this is carried out."), ("backfill", None)):
        lines = run(command, "bucket", "--models", "bucket", "--plan").stdout.splitlines()
        assert "1 object is left out by extension: 1 .txt." in lines
        assert last in (None, lines[-1])


def test_a_listing_that_broke_off_is_said_with_a_plan(run, home):
    put(home / "bucket", "a.mp4")
    too_deep(home / "bucket")
    (home / "models").mkdir()
    for command in ("index", "backfill"):
        done = run(command, "bucket", "--models", "models", "--plan")
        assert done.returncode == 0
        assert "broke off" in done.stderr


def test_the_report_of_a_run_has_it_for_prefect_and_the_lake(folder, tmp_path):
    put(folder, "a.mp4", "1.t|xt", "1.txt", "x.pdf")
    (folder / "a|b.mp4").symlink_to("nowhere")
    report = RunReport("r", str(tmp_path), "file:///bucket", datetime(2024, 1, 1, tzinfo=UTC))
    report.found(look(folder))
    text = report.markdown()
    assert (
        "## Left out\n\n- 2 objects are left out by extension: 1 .txt, 1 .pdf.\n- 1 link leads nowhere: a\\|b.mp4.\n"
        in text
    )
    assert "| listed | 5 |\n" in text
    kept = json.loads(report.row(datetime(2024, 1, 1, tzinfo=UTC), "done")["report_json"])
    assert kept["left_out"]["extensions"] == {"txt": 1, "pdf": 1}


def test_a_backfill_of_a_prefix_that_nothing_has_says_so(run, home):
    put(home / "bucket", "talks/a.mp4")
    done = run("backfill", "bucket", "--models", "bucket", "--plan", "--prefix", "talk/")
    assert done.stdout == "Nothing to do.\n"
    assert done.stderr == "Due: 1 video, and none of this prefix and time.\n"
    assert run("backfill", "bucket", "--models", "bucket", "--plan", "--prefix", "talks/").stderr == ""
