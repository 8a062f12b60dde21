"""The main job through the command line: real media, the demo models, a real Prefect server of its own."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
import subprocess
import time
from pathlib import Path

import pytest
from conftest import BUCKET, command_environment
from forked import nightscribe

from tasks.lake.check import check
from tasks.lake.store import Lake
from tasks.lake.views import connect

WORDS_OF_THE_FINAL = """
    SELECT word, start_ms, end_ms FROM words
    SEMI JOIN (FROM videos WHERE key = 'sport/cup-final.mov') USING (video_id) ORDER BY word_no
"""


class Archive:
    """A bucket and a lake of its own, driven through the command line."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.bucket, self.lake = folder, folder / "bucket", folder / "lake"
        self.stderr = ""

    def run(self, *arguments: str, code: int = 0, **environment: str | None):
        given = command_environment(self.folder, NIGHTSCRIBE_BUCKET_ID="sample", **environment)
        done = nightscribe(*arguments, "--json", env=given)
        self.stderr = done.stderr
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return json.loads(done.stdout)

    def index(self, *arguments: str, code: int = 0, **environment: str | None):
        return self.run("index", str(self.bucket), *arguments, code=code, **environment)

    def rows(self, sql: str):
        return connect(Lake(str(self.lake))).execute(sql).fetchall()


@pytest.fixture(scope="module")
def first(tmp_path_factory) -> tuple[Archive, dict]:
    """The sample archive, indexed once, with no Prefect server set."""
    archive = Archive(tmp_path_factory.mktemp("archive"))
    shutil.copytree(BUCKET, archive.bucket)
    return archive, archive.index(PREFECT_API_URL=None)


@pytest.fixture
def archive(first, tmp_path) -> Archive:
    """A copy of the indexed archive that a test may change."""
    shutil.copytree(first[0].folder, tmp_path / "copy", ignore=shutil.ignore_patterns("prefect", "scratch"))
    return Archive(tmp_path / "copy")


def test_every_candidate_of_the_sample_archive_has_the_right_status(first):
    archive, report = first
    statuses = dict(archive.rows("SELECT key, status FROM videos"))
    assert statuses.pop("unsorted/clouds.mp4") == "no_audio"
    assert statuses.pop("unsorted/quiet room.mp4") == "no_speech"
    assert "tech/été à la montagne – 山の夏.mp4" in statuses
    assert set(statuses.values()) == {"indexed"}
    assert report["scanned"] == report["new"] == len(statuses) + 2
    assert report["indexed"] == len(statuses)
    assert report["words"] == archive.rows("SELECT count(*) FROM words")[0][0] > 100
    assert check(Lake(str(archive.lake))) == []


def test_the_video_that_was_cut_off_has_the_words_of_its_first_part_and_says_so(first):
    archive, _ = first
    reason, error, words = archive.rows("SELECT reason, error, n_words FROM videos WHERE key LIKE '%cut off.mp4'")[0]
    assert reason == "truncated"
    assert error.startswith("Only ")
    assert words > 5


def test_titles_and_dates_come_from_the_sidecars(first):
    archive, _ = first
    row = archive.rows("SELECT title, published_at::DATE::VARCHAR, tags FROM videos WHERE key = 'sport/cup-final.mov'")[
        0
    ]
    assert row == ("A late goal decides the cup final", "2024-05-25", ["sport", "football"])


def test_no_scratch_file_and_no_process_is_left(first):
    archive, _ = first
    assert list((archive.folder / "scratch").glob("run-*")) == []
    processes = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(archive.folder) not in processes


def test_a_second_run_does_nothing_and_starts_no_prefect(archive):
    database, started = archive.folder / "prefect" / "prefect.db", time.monotonic()
    report = archive.index(PREFECT_API_URL=None)
    assert time.monotonic() - started < 30
    assert {name: report[name] for name in ("new", "changed", "indexed", "failed", "gone")} == dict.fromkeys(
        ("new", "changed", "indexed", "failed", "gone"), 0
    )
    assert report["unchanged"] == report["scanned"] == 10
    with contextlib.closing(sqlite3.connect(database)) as prefect:
        assert prefect.execute("SELECT count(*) FROM flow_run").fetchone() == (0,)
    assert {path.name for path in database.parent.iterdir()} == {"prefect.db"}


def test_an_edited_title_changes_topics_and_search_without_a_new_transcription(archive):
    sidecar = archive.bucket / "sport" / "cup-final.json"
    sidecar.write_text(json.dumps({"title": "Zebra crossing", "published_at": "2020-01-01"}))
    before = archive.rows(WORDS_OF_THE_FINAL)
    report = archive.index()
    assert report["metadata"] == 1
    assert "emissions" not in report["seconds"], "no audio was heard"
    assert archive.rows("SELECT title FROM videos WHERE key = 'sport/cup-final.mov'") == [("Zebra crossing",)]
    after = archive.rows(WORDS_OF_THE_FINAL)
    assert after == before
    assert len(archive.rows("SELECT * FROM videos_all WHERE key = 'sport/cup-final.mov'")) == 2
    assert archive.index()["unchanged"] == 10


@pytest.mark.long
def test_new_cue_rules_change_cues_without_audio_and_history_keeps_the_old_ones(archive):
    rules = {"NIGHTSCRIBE_LINE_CHARS": "24"}
    old = archive.rows("SELECT count(*) FROM cues")[0][0]
    assert archive.index(**rules)["stale"] == 8, "the one without a word has no cues"
    report = archive.index("--refresh", **rules)
    assert (report["indexed"], report["no_speech"]) == (8, 0)
    assert "emissions" not in report["seconds"]
    assert archive.rows("SELECT count(*) FROM cues")[0][0] > old
    assert archive.rows("SELECT count(*) FROM cues_all")[0][0] > 2 * old
    assert max(len(line) for (text,) in archive.rows("SELECT text FROM cues") for line in text.split("\n")) <= 24
    assert check(Lake(str(archive.lake))) == []
    assert archive.index("--refresh", **rules)["indexed"] == 0


@pytest.mark.long
def test_another_language_model_makes_videos_stale_and_refresh_redoes_them(archive):
    for folder in archive.bucket.iterdir():
        if folder.name not in ("sport",):
            shutil.rmtree(folder)
    archive.index()
    changed = {"NIGHTSCRIBE_LM_WEIGHT": "0.1"}
    assert archive.index(**changed)["stale"] == 1
    report = archive.index("--refresh", **changed)
    assert report["indexed"] == 1
    assert report["seconds"]["emissions"] > 0
    generations = archive.rows("SELECT decode_recipe FROM videos_all WHERE key = 'sport/cup-final.mov'")
    assert len(set(generations)) == 2


def test_subtitles_are_written_beside_each_video_of_a_run_when_asked_for(archive):
    (archive.bucket / "again.mov").write_bytes((archive.bucket / "sport" / "cup-final.mov").read_bytes())
    archive.index("--subtitles", "beside")
    assert [path.name for path in archive.bucket.rglob("*.vtt")] == ["again.en.vtt"]
    assert (archive.bucket / "again.en.vtt").read_text(encoding="utf-8").startswith("WEBVTT\n")
    assert archive.index()["unchanged"] == 11, "a subtitle file is no candidate"
    # A run that finds nothing to do gives files their names of today, and writes none anew.
    for names, file in (("long", "again.mov.vtt"), ("short", "again.en.vtt")):
        report = archive.index("--subtitles", "beside", NIGHTSCRIBE_SUBTITLES_BESIDE=names, PREFECT_API_URL=None)
        assert report["unchanged"] == 11
        assert [path.name for path in archive.bucket.rglob("*.vtt")] == [file]


def test_a_video_that_is_gone_and_one_that_came_are_found(archive):
    (archive.bucket / "sport" / "cup-final.mov").rename(archive.bucket / "sport" / "renamed.mov")
    shutil.rmtree(archive.bucket / "tech")
    report = archive.index()
    assert (report["gone"], report["new"], report["indexed"]) == (3, 1, 1)
    assert dict(archive.rows("SELECT status, count(*) FROM videos GROUP BY ALL"))["gone"] == 3
    assert archive.index()["gone"] == 0


def test_an_unreadable_sidecar_is_a_note_and_loses_nothing(archive):
    (archive.bucket / "sport" / "cup-final.json").write_bytes(b"\xff\xfe{nonsense")
    report = archive.index(code=1)
    assert report["failed"] == 0
    assert any("cup-final.json is not JSON" in warning for warning in report["warnings"])
    assert archive.rows("SELECT title, status FROM videos WHERE key = 'sport/cup-final.mov'") == [
        ("A late goal decides the cup final", "indexed")
    ]
    archive.index()


@pytest.mark.long
def test_a_prefect_server_that_does_not_answer_is_said_and_the_run_goes_on(archive):
    (archive.bucket / "new.wav").write_bytes((archive.bucket / "unsorted" / "clouds.mp4").read_bytes())
    report = archive.index(PREFECT_API_URL="http://127.0.0.1:9/api")
    assert report["no_audio"] == 1
    assert "does not answer" in archive.stderr


def test_the_plan_says_what_would_be_done_and_does_nothing(archive):
    (archive.bucket / "new.mov").write_bytes((archive.bucket / "sport" / "cup-final.mov").read_bytes())
    version = Lake(str(archive.lake)).table("videos").version()
    report = archive.index("--plan")
    assert report["plan"] is True
    assert report["estimate"]["files"] == {"new": 1}
    assert 0.005 < report["estimate"]["media_hours"] < 0.05
    assert Lake(str(archive.lake)).table("videos").version() == version


def test_broken_media_fail_with_a_row_and_exit_code_1_and_are_not_tried_again(archive):
    (archive.bucket / "broken.mp4").write_bytes(b"not a video at all")
    report = archive.index(code=1)
    assert [(f["key"], f["reason"]) for f in report["failures"]] == [("broken.mp4", "not_media")]
    assert archive.index()["failed"] == 0
    assert archive.index("--retry-failed", code=1)["retried"] == 1
