"""What holds for every stage that looks at pictures or hears the soundtrack, with those of `tests/example` too."""

from __future__ import annotations

import sys

import pytest
from cards import card
from contract.archive import Archive
from made_media import make
from sessions import cut

from tasks.errors import StageTimeout
from tasks.stages.registry import STAGES

LOOKING = [stage.name for stage in STAGES if "pictures" in stage.needs]
HEARING = [stage.name for stage in STAGES if "soundtrack" in stage.needs]
FILM = ("-f", "lavfi", "-i", "testsrc=s=64x64:r=5:d=4")


@pytest.mark.parametrize("stage", LOOKING)
def test_a_faulty_picture_fails_its_stage_and_leaves_the_words(tmp_path, stage):
    archive = Archive(tmp_path)
    archive.bucket.mkdir()
    cut(tmp_path / "sound.wav", 4.0)
    title = ("-loop", "1", "-r", "5", "-t", "4", "-i", card(tmp_path / "title.png", "Harbour at dawn"))
    make("-i", tmp_path / "sound.wav", *title, "-c:a", "copy", "-map", "0", "-map", "1", tmp_path / "whole.mkv")
    make("-i", tmp_path / "whole.mkv", "-map", "0", "-c", "copy", "-bsf:v", "noise=amount=1", archive.bucket / "a.mkv")
    report = archive.run()
    assert report.done["indexed"] == 1
    assert {failure["stage"]: failure["reason"] for failure in report.failures}[stage] == "corrupt"
    assert archive.rows("SELECT count(*) > 3 FROM words") == [(True,)]
    assert archive.having(stage) == set()
    assert archive.due() == {}, "that will not mend itself"
    assert not list((tmp_path / "scratch").rglob("*.jpg"))
    make("-i", tmp_path / "whole.mkv", "-map", "0", "-c", "copy", archive.bucket / "a.mkv")
    before = archive.files()["topics"]
    assert archive.run().done["indexed"] == 1
    assert archive.having(stage) == {"a.mkv"}
    assert archive.files()["topics"] != before
    assert not list((tmp_path / "scratch").rglob("*.jpg"))


def test_pictures_are_decoded_once_for_all_stages_and_not_where_none_looks(tmp_path, monkeypatch):
    prepare = sys.modules["tasks.runs.pipeline.prepare"]
    archive = Archive(tmp_path)
    archive.bucket.mkdir()
    cut(tmp_path / "sound.wav", 4.0)
    make("-i", tmp_path / "sound.wav", *FILM, "-c:a", "copy", "-map", "0", "-map", "1", archive.bucket / "a.mkv")
    decoded = []
    real = prepare.extract_frames
    monkeypatch.setattr(prepare, "extract_frames", lambda *a, **options: decoded.append(a) or real(*a, **options))
    archive.run()
    assert len(decoded) == 1
    archive.run(stages=["topics"], only=True, refresh=True)
    assert len(decoded) == 1


@pytest.mark.parametrize("stage", HEARING)
def test_a_soundtrack_that_cannot_be_had_fails_its_stage_and_leaves_the_words(tmp_path, monkeypatch, stage):
    prepare = sys.modules["tasks.runs.pipeline.prepare"]
    archive = Archive(tmp_path)
    archive.bucket.mkdir()
    cut(archive.bucket / "a.wav", 4.0)
    real = prepare.extract_audio

    def broken(*arguments, rate=16_000, **options):
        if rate == prepare.SOUNDTRACK_RATE:
            raise StageTimeout("It takes for ever.")
        return real(*arguments, rate=rate, **options)

    with monkeypatch.context() as change:
        change.setattr(prepare, "extract_audio", broken)
        report = archive.run()
    assert report.done["indexed"] == 1
    assert {failure["stage"]: failure["reason"] for failure in report.failures}[stage] == "timeout"
    assert archive.rows("SELECT count(*) > 3 FROM words") == [(True,)]
    assert archive.having(stage) == set()
    assert not list((tmp_path / "scratch").rglob("*.pcm"))
    before = archive.files()["topics"]
    archive.run(retry_failed=True)
    assert archive.having(stage) == {"a.wav"}
    assert archive.files()["topics"] == before, "only what failed is made"
    assert not list((tmp_path / "scratch").rglob("*.pcm"))
    assert archive.rows("SELECT min(start_ms), max(end_ms) BETWEEN 3900 AND 4100 FROM sounds") == [(0, True)]
