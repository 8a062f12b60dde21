"""What a scan finds due beside what the lake knows: new, changed, gone, failed before, made by an older recipe."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from conftest import made_by, rarely
from scanning import NOW, count_stale, empty_bucket, keep, look, put, why

from tasks.lake import due
from tasks.lake.due import coverage
from tasks.lake.views import connect
from tasks.stages.registry import STAGES


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return empty_bucket(tmp_path)


# -- what is new, changed, gone -----------------------------------------------------------------------------------------


def test_without_a_lake_every_candidate_is_new_and_the_oldest_comes_first(folder):
    put(folder, "2023/b.mp4", "a.mkv")
    found = look(folder)
    assert [(item.key, item.why, item.stages, item.reads_object) for item in found.work] == [
        ("2023/b.mp4", "new", STAGES.names, True),
        ("a.mkv", "new", STAGES.names, True),
    ]
    assert (found.scanned, found.unchanged, found.stale, found.gone, found.warnings) == (2, 0, 0, [], [])
    assert found.work[0].size_bytes == 1
    assert found.work[0].fingerprint == "1-1700000000000000000"
    assert found.work[0].modified_at == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


def test_the_video_id_is_the_hash_of_bucket_and_key(folder):
    put(folder, "a ü.mp4")
    named = hashlib.sha256("archive\0a ü.mp4".encode()).hexdigest()[:20]
    assert look(folder, bucket_id="archive").work[0].video_id == named
    assert look(folder).work[0].video_id == hashlib.sha256(f"{folder.as_uri()}\0a ü.mp4".encode()).hexdigest()[:20]


def test_what_is_indexed_is_left_alone(folder, lake):
    put(folder, "a.mp4", "b.mp4")
    keep(lake, folder, look(folder, lake))
    found = look(folder, lake)
    assert (found.work, found.gone, found.scanned, found.unchanged) == ([], [], 2, 2)


def test_a_rewritten_file_is_changed_and_follows_its_last_generation(folder, lake):
    put(folder, "a.mp4", "b.mp4")
    keep(lake, folder, look(folder, lake))
    put(folder, "a.mp4", data=b"other")
    found = look(folder, lake)
    assert why(found) == {"a.mp4": "changed"}
    assert (found.work[0].stages, found.work[0].size_bytes, found.unchanged) == (STAGES.names, 5, 1)
    generation = connect(lake).execute("SELECT generation FROM videos WHERE key = 'a.mp4'").fetchone()[0]
    assert found.work[0].last_generation == generation


def test_a_touched_file_is_changed_by_time_but_not_by_checksum(folder, lake):
    put(folder, "a.mp4")
    keep(lake, folder, look(folder, lake, checksum=True))
    os.utime(folder / "a.mp4", (1, 1))
    assert look(folder, lake, checksum=True).work == []
    digest = hashlib.sha256(b"x").hexdigest()
    assert look(folder, checksum=True).work[0].fingerprint == f"sha256-{digest}"
    assert why(look(folder, lake)) == {"a.mp4": "changed"}


def test_a_removed_file_is_gone_once_and_new_when_it_comes_back(folder, lake):
    put(folder, "a.mp4", "b.mp4")
    keep(lake, folder, look(folder, lake))
    (folder / "a.mp4").unlink()
    found = look(folder, lake)
    assert ([item.key for item in found.gone], found.work, found.scanned) == (["a.mp4"], [], 1)
    keep(lake, folder, found, status="gone")
    assert look(folder, lake).gone == []
    put(folder, "a.mp4")
    assert why(look(folder, lake)) == {"a.mp4": "new"}


def test_videos_of_another_bucket_are_neither_gone_nor_known(folder, lake, tmp_path):
    put(folder, "a.mp4")
    keep(lake, folder, look(folder, lake))
    put(tmp_path / "other", "a.mp4", "b.mp4")
    found = look(tmp_path / "other", lake)
    assert why(found) == {"a.mp4": "new", "b.mp4": "new"}
    assert found.gone == []


def test_an_archive_that_moved_is_known_by_its_name(folder, lake, tmp_path):
    put(folder, "a.mp4")
    keep(lake, folder, look(folder, lake, bucket_id="talks"), bucket_id="talks")
    folder.rename(tmp_path / "elsewhere")
    found = look(tmp_path / "elsewhere", lake, bucket_id="talks")
    assert (found.work, found.gone) == ([], [])


# -- what is due again --------------------------------------------------------------------------------------------------


def test_a_transient_failure_is_due_again_when_its_time_has_come(folder, lake):
    put(folder, "a.mp4")
    keep(lake, folder, look(folder, lake), status="failed", next_try_at=NOW, attempts=3)
    assert look(folder, lake, now=NOW - timedelta(seconds=1)).work == []
    found = look(folder, lake, now=NOW)
    assert [(item.why, item.stages, item.attempts) for item in found.work] == [("retried", STAGES.names, 3)]


def test_a_permanent_failure_waits_until_it_is_asked_for(folder, lake):
    put(folder, "a.mp4")
    keep(lake, folder, look(folder, lake), status="failed")
    assert look(folder, lake, now=NOW + timedelta(days=365)).work == []
    assert look(folder, lake, refresh=True).work == []
    assert why(look(folder, lake, retry_failed=True)) == {"a.mp4": "retried"}


def test_a_permanent_failure_is_tried_again_with_a_new_object_or_recipe(folder, lake):
    put(folder, "a.mp4")
    keep(lake, folder, look(folder, lake), status="failed")
    assert why(look(folder, lake, recipes=made_by(emissions="other"))) == {"a.mp4": "retried"}
    put(folder, "a.mp4", data=b"mended")
    assert why(look(folder, lake)) == {"a.mp4": "changed"}


def test_retry_failed_leaves_what_is_indexed_alone(folder, lake):
    put(folder, "a.mp4")
    keep(lake, folder, look(folder, lake))
    assert look(folder, lake, retry_failed=True).work == []


# -- older recipes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recipes", "stages"),
    [
        (made_by(emissions="E", words="W", cues="C", passages="P", topics="T"), STAGES.after(["emissions"])),
        (made_by(words="W", cues="C", passages="P", topics="T"), STAGES.after(["emissions"])),
        (made_by(cues="C", topics="T"), ("cues", "topics")),
        (made_by(passages="P"), ("passages",)),
        (made_by(cues="C"), ("cues",)),
        (made_by(topics="T"), ("topics",)),
    ],
)
def test_a_stale_video_is_counted_and_redone_in_the_stages_that_differ_and_what_stands_on_them(
    folder, lake, recipes, stages
):
    put(folder, "a.mp4")
    keep(lake, folder, look(folder, lake))
    left = look(folder, lake, recipes=recipes)
    assert (left.stale, left.work, left.unchanged) == (1, [], 1)
    asked = look(folder, lake, recipes=recipes, refresh=True)
    assert [(item.why, item.stages, item.reads_object) for item in asked.work] == [("stale", stages, "words" in stages)]


def test_a_video_without_audio_is_not_stale_by_decoder_or_cues(folder, lake):
    put(folder, "a.mp4")
    keep(lake, folder, look(folder, lake), status="no_audio")
    assert look(folder, lake, recipes=made_by(words="W", cues="C", passages="P"), refresh=True).work == []
    assert look(folder, lake, recipes=made_by(emissions="other"), refresh=True).work[0].reads_object


@pytest.mark.parametrize("status", ["indexed", *rarely("failed", "no_speech", "no_audio", "gone", "forgotten")])
def test_what_the_lake_counts_as_stale_is_what_a_refresh_redoes(folder, lake, monkeypatch, status, long):
    put(folder, "a.mp4")
    keep(lake, folder, look(folder, lake), status=status)
    for changed in (*(STAGES.names if long else ("words", "cues", "topics", "frames")), None):
        recipes = made_by(**{changed: "other"} if changed else {})
        redone = look(folder, lake, recipes=recipes, refresh=True).count("stale")
        assert count_stale(lake, recipes) == redone, changed
        seen = coverage(connect(lake), recipes, now=NOW)
        with monkeypatch.context() as looking:
            looking.setattr(due, "_nothing_due", lambda *_: False)
            looked = coverage(connect(lake), recipes, now=NOW)
        assert looked == seen, f"sums of runs tell the same as a look at every video: {changed}"


def test_a_refresh_with_the_same_recipe_finds_nothing(folder, lake):
    put(folder, "a.mp4")
    keep(lake, folder, look(folder, lake))
    assert look(folder, lake, refresh=True).work == []


# -- sidecars -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sidecar", ["a.json", "a.info.json", "a.mp4.json", "a.mp4.info.json"])
def test_an_edited_sidecar_is_new_metadata_and_no_new_transcription(folder, lake, sidecar):
    put(folder, "a.mp4", "b.mp4", sidecar)
    found = look(folder, lake)
    assert {item.key: item.sidecar_key for item in found.work} == {"a.mp4": sidecar, "b.mp4": None}
    keep(lake, folder, found)
    assert look(folder, lake).work == []
    put(folder, sidecar, data=b'{"title": "Edited"}')
    edited = look(folder, lake).work
    assert [(i.key, i.why, i.stages, i.sidecar_key) for i in edited] == [("a.mp4", "metadata", ("topics",), sidecar)]


def test_a_sidecar_that_comes_or_goes_is_new_metadata(folder, lake):
    put(folder, "a.mp4")
    keep(lake, folder, look(folder, lake))
    put(folder, "a.json")
    came = look(folder, lake)
    assert why(came) == {"a.mp4": "metadata"}
    keep(lake, folder, came)
    (folder / "a.json").unlink()
    went = look(folder, lake)
    assert [(i.why, i.sidecar_key, i.sidecar_fingerprint) for i in went.work] == [("metadata", None, None)]


def test_the_sidecar_that_names_the_file_wins_over_the_one_that_names_its_stem(folder):
    put(folder, "a.mp4", "a.mkv", "a.json", "a.info.json", "a.mp4.json")
    found = {item.key: item.sidecar_key for item in look(folder).work}
    assert found == {"a.mp4": "a.mp4.json", "a.mkv": "a.info.json"}


def test_a_sidecar_in_another_folder_is_not_taken(folder):
    put(folder, "x/a.mp4", "y/a.json", "a.json")
    assert [item.sidecar_key for item in look(folder).work] == [None]
