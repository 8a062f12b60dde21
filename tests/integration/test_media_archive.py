"""Every file of the test media gets the row that its manifest's description calls for."""

from __future__ import annotations

import csv
import json

import pytest
from conftest import TESTDATA, command_environment
from forked import nightscribe

from tasks.lake.store import Lake
from tasks.lake.views import connect

pytestmark = pytest.mark.long

EXPECTED = {
    # file: (status, reason); None is any reason
    "empty.flv": ("failed", "not_media"),
    "mono.invalid.wav": ("failed", "not_media"),
    "nostreams.mp4": ("failed", "not_media"),
    "video_short_fake.webm": ("failed", "not_media"),
    "zero_length.mp4": ("failed", "not_media"),
    "short-cenc.mp4": ("failed", "encrypted"),
    "the_last_man_on_earth.truncated.mp4": ("failed", "truncated"),
    "invalid_userdata.mp4": ("failed", "truncated"),  # it names media data that is not there
    "zero_empty_stsc.mp4": ("failed", "truncated"),
    "codec_avc1.42c00d+mp4a.40.5.mkv": ("failed", "unsupported_codec"),
    "awful.wav": ("no_speech", None),
    "null.wav": ("no_speech", None),
}
# What the small demo model may take for the other: speech under loud rain or music, and three seconds of hiss.
HARD = {key: {"indexed", "no_speech"} for key in ("speech_in_rain.mp4", "echo-hereweare.webm", "empty.mp3")}
BY_KIND = {
    "derived_speech_video": {"indexed"},
    "speech_video": {"indexed"},
    "audio_only": {"indexed"},
    "no_audio": {"no_audio"},
    "silence": {"no_speech"},
    "odd_name": {"indexed", "no_speech"},
    "wrong_extension": {"indexed", "no_speech"},
    "codec": {"no_speech", "no_audio"},
    "container": {"indexed", "no_speech"},
    "non_speech": {"indexed", "no_speech"},
    "no_video": {"indexed", "no_speech"},
    "long": {"indexed", "no_speech"},
    "phone": {"indexed", "no_speech"},
    "video": {"indexed", "no_speech", "no_audio"},
}


@pytest.fixture(scope="module")
def indexed(tmp_path_factory):
    if not TESTDATA.is_dir():
        pytest.skip(f"no test data at {TESTDATA}; set NIGHTSCRIBE_TESTDATA")
    folder = tmp_path_factory.mktemp("media")
    command = ("index", TESTDATA / "media", "--json")
    runs = [nightscribe(*command, env=command_environment(folder), timeout=600) for _ in range(2)]
    rows = connect(Lake(str(folder / "lake"))).execute("SELECT key, status, reason, audio_track, n_words FROM videos")
    with (TESTDATA / "media" / "manifest.tsv").open(encoding="utf-8") as handle:
        manifest = {row["file"]: row for row in csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE)}
    return runs, {row[0]: row[1:] for row in rows.fetchall()}, manifest


def test_the_first_run_says_that_some_are_broken_and_shows_no_traceback(indexed):
    (first, _), _, manifest = indexed
    assert first.returncode == 1
    assert "Traceback" not in first.stderr
    report = json.loads(first.stdout)
    assert report["scanned"] == len(manifest) == 57
    assert report["failed"] == len(report["failures"]) == sum(status == "failed" for status, _ in EXPECTED.values())


def test_the_second_run_does_nothing(indexed):
    (_, second), _, _ = indexed
    assert second.returncode == 0
    report = json.loads(second.stdout)
    assert (report["indexed"], report["failed"], report["unchanged"]) == (0, 0, 57)
    assert report["seconds"]["total"] < 30


def test_every_file_has_the_status_and_reason_that_the_manifest_calls_for(indexed):
    _, rows, manifest = indexed
    assert set(rows) == set(manifest)
    wrong = []
    for key, (status, reason, *_) in rows.items():
        if key in EXPECTED:
            wanted, why = EXPECTED[key]
            if status != wanted or (why is not None and reason != why):
                wrong.append((key, status, reason))
        elif status not in HARD.get(key, BY_KIND.get(manifest[key]["kind"], set())):
            wrong.append((key, manifest[key]["kind"], status, reason))
    assert wrong == []


def test_the_second_of_two_tracks_and_the_centre_channel_were_heard(indexed):
    _, rows, _ = indexed
    assert rows["speech_on_second_track.mkv"][2] == 1
    assert rows["speech_on_second_track.mkv"][3] > 10
    assert rows["speech_5_1_centre.mkv"][3] > 10
