"""Subtitle files of a forgotten video."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from forgotten import NOW, Killed, found, settings  # noqa: F401

from tasks.erasure.forget import find_videos, forget
from tasks.lake.commit import commit
from tasks.subtitles.files import write_subtitles


def test_subtitles_whose_name_was_shared_go_one_after_the_other(lake, result, settings, tmp_path):
    both = [result(NOW, key="talk.mp4", video_id="a" * 20), result(NOW, key="talk.mov", video_id="b" * 20)]
    commit(lake, both, run_id="r", device="cpu")
    out = tmp_path / "subtitles"
    for form in ("vtt", "srt"):
        write_subtitles(lake, folder=str(out), format=form, settings=settings)
    assert len(list(out.glob("talk.*.*"))) == 4
    for key in ("talk.mp4", "talk.mov"):
        forget(lake, settings, find_videos(lake, [key]))
    assert found(out) == set()
    assert not list(out.glob("talk.*"))


def test_subtitles_of_a_writer_that_was_killed_go_too(lake, say, settings, tmp_path, monkeypatch):
    say(NOW, key="talk.mp4")
    out = tmp_path / "subtitles"
    with monkeypatch.context() as patched:
        patched.setattr("tasks.subtitles.files.os.replace", lambda *a: (_ for _ in ()).throw(Killed))
        patched.setattr(Path, "unlink", lambda *a, **o: None)
        with pytest.raises(Killed):
            write_subtitles(lake, folder=str(out), format="vtt", settings=settings)
    assert "zanzibar" in found(out)
    forget(lake, settings, find_videos(lake, ["talk.mp4"]))
    assert found(out) == set()


def test_subtitles_that_may_not_be_removed_do_not_keep_the_lake_from_forgetting(
    lake, result, settings, tmp_path, monkeypatch
):
    video_id = hashlib.sha256(b"file:///bucket\0talk.mp4").hexdigest()[:20]
    commit(lake, [result(NOW, video_id=video_id)], run_id="r", device="cpu")
    out = tmp_path / "subtitles"
    write_subtitles(lake, folder=str(out), format="vtt", settings=settings)
    with monkeypatch.context() as patched:
        patched.setattr("tasks.subtitles.removal.remove", lambda path: (_ for _ in ()).throw(PermissionError(13, "no")))
        certificate = forget(lake, settings, find_videos(lake, ["talk.mp4"]))
    assert "1 subtitle files that may not be removed" in certificate.left[0]
    assert found(Path(lake.uri)) == set()
    assert forget(lake, settings, find_videos(lake, ["talk.mp4"]), names=["talk.mp4"]).complete
    assert found(out) == set()
