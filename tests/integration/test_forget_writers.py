"""Forgetting beside writers and scans: what is at work on a video, or was killed at it, does not bring it back."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from forgotten import ID, KEY, NOW, nothing_is_left, rows, settings  # noqa: F401

from tasks.erasure import forget as forgetting
from tasks.erasure.forget import find_videos, forget
from tasks.lake.commit import commit
from tasks.records import Result
from tasks.runs.maintenance import take_care
from tasks.runs.session import open_session


def test_a_run_that_was_at_work_on_it_writes_nothing(lake, say, result, settings):
    from tasks.lake.commit import forgotten_meanwhile

    generation = say(NOW, key=KEY)
    forget(lake, settings, [ID])
    late: Result = result(NOW, key=KEY, video_id=ID, last_generation=generation)
    assert forgotten_meanwhile(lake, [late]) == {ID}
    bare = rows(lake, "SELECT generation FROM videos")[0][0]
    asked: Result = result(NOW, key=KEY, video_id=ID, last_generation=bare)
    assert forgotten_meanwhile(lake, [asked]) == set(), "its work was found after that, because somebody asked"


def test_what_was_forgotten_between_the_look_and_the_commit_does_not_come_back(
    lake, say, result, settings, tmp_path, monkeypatch
):
    from tasks.runs.pipeline import state

    generation = say(NOW, key=KEY)
    say("other words", key="other.mp4")
    (tmp_path / "bucket").mkdir()
    pipeline = open_session(str(tmp_path / "bucket"), settings).pipeline
    pipeline.__dict__["device"] = "cpu"
    write = state.commit
    monkeypatch.setattr(state, "commit", lambda *a, **o: [forget(lake, settings, [ID]), write(*a, **o)][1])
    late: Result = result(NOW, key=KEY, video_id=ID, last_generation=generation)
    assert pipeline.commit([late]) == []
    assert rows(lake, f"SELECT status, key FROM videos_all WHERE video_id = '{ID}'") == [("forgotten", "")]
    nothing_is_left(lake, tmp_path)


def test_words_taken_from_a_video_that_was_forgotten_meanwhile_are_not_written(lake, say, result, settings):
    from tasks.lake.commit import forgotten_meanwhile

    source = say(NOW, key=KEY)
    copy: Result = result(NOW, key="copy.mp4", video_id="c" * 20)
    copy = replace(copy, work=replace(copy.work, reads_object=False, source_id=ID, source_generation=source))
    assert forgotten_meanwhile(lake, [copy]) == set()
    forget(lake, settings, [ID])
    assert forgotten_meanwhile(lake, [copy]) == {"c" * 20}


def test_words_that_a_killed_writer_was_about_to_add_are_named(lake, say, settings):
    say(NOW, key=KEY)
    half_done = Path(lake.path("vocabulary"), "part-00000-half-c000.zstd.parquet")
    half_done.write_bytes(Path(lake.files("vocabulary")[0]).read_bytes())
    certificate = forget(lake, settings, [ID])
    assert "1 files of vocabulary that no commit names" in certificate.left[0]


def test_words_of_a_writer_that_has_not_committed_are_named_until_they_are_old(lake, say, settings):
    """Its file is no file of the log yet, and to remove it would break the commit that may follow."""
    say(NOW, key=KEY)
    half_done = Path(lake.path("words"), "part-00000-half-c000.zstd.parquet")
    half_done.write_bytes(Path(lake.files("words")[0]).read_bytes())
    certificate = forget(lake, settings, [ID])
    assert half_done.exists()
    assert not certificate.complete
    assert "1 files of words that no commit names" in certificate.left[0]
    again = forget(lake, settings.model_copy(update={"sweep_grace_h": 0.0}), [ID])
    assert again.complete
    assert not half_done.exists()


def test_it_is_not_indexed_again_unless_asked(lake, tmp_path, settings, result):
    bucket = tmp_path / "videos"
    bucket.mkdir()
    for name in ("a.mp4", "b.mp4"):
        (bucket / name).write_bytes(b"video")
    first = open_session(str(bucket), settings)
    done = [result("words", video_id=w.video_id, key=w.key, fingerprint=w.fingerprint) for w in first.work]
    commit(
        lake,
        [replace(r, bucket=first.bucket.bucket_id, bucket_uri=first.bucket.uri) for r in done],
        run_id="r",
        device="cpu",
    )
    assert not open_session(str(bucket), settings).has_work
    forget(lake, settings, find_videos(lake, ["a.mp4"]))
    assert not open_session(str(bucket), settings).has_work
    # On another machine, by its key: subtitles beside it, and lines of a log.
    (bucket / "a.mp4.vtt").write_text("WEBVTT\n\nNOTE made by Nightscribe; machine transcript\n")
    settings.scratch.mkdir(exist_ok=True)
    (settings.scratch / "web-retry.log").write_text("  failed  a.mp4: corrupt\n")
    again = forget(lake, settings, find_videos(lake, ["a.mp4"]), names=["a.mp4"])
    assert (again.complete, again.subtitles) == (True, 1)
    assert not (bucket / "a.mp4.vtt").exists()
    assert (settings.scratch / "web-retry.log").read_text() == ""
    (bucket / "a.mp4").write_bytes(b"video, cut anew")
    assert not open_session(str(bucket), settings).has_work
    (asked,) = open_session(str(bucket), settings, remember=["a.mp4"]).work
    assert (asked.key, asked.why) == ("a.mp4", "new")
    (bucket / "a.mp4").unlink()
    assert not open_session(str(bucket), settings).has_work, "it is forgotten, not gone"


def test_what_has_been_gone_for_long_enough_is_forgotten_and_comes_back_with_its_object(lake, say, settings, tmp_path):
    first = say(NOW, key=KEY)
    say("still here", key="other.mp4")
    say("", key=KEY, status="gone", last_generation=first)
    assert take_care(lake, settings).forgotten == 0, "by default nothing goes by itself"
    wanted = settings.model_copy(update={"forget_gone_days": 30.0})
    assert take_care(lake, wanted).forgotten == 0, "not yet"
    (certificate,) = forgetting.forget_overdue(lake, wanted, now=datetime.now(UTC) + timedelta(days=31))
    assert (certificate.videos, certificate.why) == ([ID], "gone for 30 days")
    nothing_is_left(lake, tmp_path)
    assert rows(lake, "SELECT status, key FROM videos ORDER BY key") == [("gone", ""), ("indexed", "other.mp4")]
    assert forgetting.forget_overdue(lake, wanted, now=datetime.now(UTC) + timedelta(days=31)) == [], "once"


def test_what_comes_back_before_its_turn_is_not_forgotten(lake, say, settings, monkeypatch):
    first = say(NOW, key=KEY)
    gone = say("", key=KEY, status="gone", last_generation=first)
    wanted = settings.model_copy(update={"forget_gone_days": 0.0})
    found = list(forgetting.overdue(lake, wanted))
    say(NOW, key=KEY, last_generation=gone)
    monkeypatch.setattr(forgetting, "overdue", lambda *arguments, **options: found)
    (certificate,) = forgetting.forget_overdue(lake, wanted)
    assert (certificate.videos, certificate.rows) == ([], {})
    assert rows(lake, "SELECT status, n_words FROM videos") == [("indexed", 7)]
