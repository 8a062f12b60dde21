"""What one video may cost: its own row, never its batch, and never what the lake has of it already."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from conftest import REPO, command_environment
from deltalake import DeltaTable
from sessions import cut, session_on, through

from tasks.errors import DecoderDied, LakeNotWritable, MissingTool, OutOfMemory, StageTimeout, StorageBusy
from tasks.lake.create import create_lake
from tasks.lake.store import Lake
from tasks.lake.views import Snapshot, connect
from tasks.media import extract_audio, probe
from tasks.media.probe import explain
from tasks.media.process import Tool
from tasks.runs import pipeline
from tasks.runs.pipeline import Batch, refresh
from tasks.settings import Settings

SETTINGS = Settings(scratch_free_gb=0.0)


def rows(tmp_path: Path, sql: str) -> list[tuple]:
    return connect(Lake(str(tmp_path / "lake"))).execute(sql).fetchall()


def index(session, *batches: Batch) -> None:
    for batch in batches or (Batch(0, session.work),):
        session.committed(pipeline.commit_batch(session.pipeline, through(session, batch)))


def stand_in(tmp_path: Path, monkeypatch, script: str) -> None:
    """An `ffmpeg` of our own before the real one in PATH; `$REAL` is that."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "ffmpeg").write_text(f"#!/bin/bash\nREAL={shutil.which('ffmpeg')}\n{script}\n")
    (tools / "ffmpeg").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")


# -- a transcript is whole, or says that it is not --------------------------------------------------------------------------


@pytest.mark.parametrize("signal", ["SEGV", "KILL"])
def test_an_ffmpeg_that_dies_leaves_no_whole_transcript(tmp_path, monkeypatch, signal):
    cut(tmp_path / "talk.wav", 30)
    probed = probe(tmp_path / "talk.wav", SETTINGS)
    stand_in(tmp_path, monkeypatch, f'"$REAL" "$@" | head -c 944000; kill -{signal} $$')
    if signal == "KILL":  # memory ran out, perhaps: another try may hear it all
        with pytest.raises(OutOfMemory):
            extract_audio(tmp_path / "talk.wav", probed, tmp_path / "out.pcm", SETTINGS)
    else:
        audio = extract_audio(tmp_path / "talk.wav", probed, tmp_path / "out.pcm", SETTINGS)
        assert audio.samples == 472_000, "so near the end that its length alone would not tell"
        assert "broke down after 29.5 s" in audio.incomplete


def test_a_tool_that_never_ends_is_stopped_though_it_says_something():
    with Tool(["yes"], memory_mb=512) as tool, pytest.raises(StageTimeout, match="not done after 1 s"):
        for _ in tool.output(stall_s=60, limit_s=1.0):
            pass


def test_a_stream_shorter_than_it_says_is_incomplete_even_when_ffmpeg_is_content(tmp_path):
    cut(tmp_path / "whole.mp3", 60)
    content = (tmp_path / "whole.mp3").read_bytes()
    (tmp_path / "half.mp3").write_bytes(content[: len(content) // 2])
    whole, half = (
        extract_audio(tmp_path / f"{n}.mp3", probe(tmp_path / f"{n}.mp3", SETTINGS), tmp_path / f"{n}.pcm", SETTINGS)
        for n in ("whole", "half")
    )
    assert whole.incomplete is None
    assert half.incomplete
    assert "could be read" in half.incomplete


def test_what_the_machine_says_is_not_held_against_the_file(tmp_path):
    assert isinstance(explain("talk.mp4: Stale file handle", tmp_path), StorageBusy)
    assert isinstance(explain("talk.mp4: Input/output error", tmp_path / "unreadable"), StorageBusy)
    (tmp_path / "damaged").touch()
    assert explain("talk.mp4: Input/output error", tmp_path / "damaged").reason == "corrupt"
    assert explain("moov atom not found", tmp_path).reason == "truncated"


def test_a_missing_tool_ends_the_run_and_marks_no_video(bucket, tmp_path, monkeypatch):
    with session_on(bucket, tmp_path) as session:
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(MissingTool, match=r"ffm?p\w+ was not found"):
            pipeline.prepare(session.pipeline, Batch(0, session.work))


# -- what the lake has stays ------------------------------------------------------------------------------------------------


def test_a_redo_that_fails_keeps_the_words_there_are(bucket, tmp_path, monkeypatch):
    with session_on(bucket, tmp_path) as session:
        index(session)
    true = rows(tmp_path, "SELECT video_id, word_no, word, start_ms FROM words ORDER BY ALL")
    assert true
    from tasks.runs.session import open_session

    settings = session.settings.model_copy(update={"window_s": 15.0})
    again = open_session(str(bucket), settings, refresh=True)
    assert {work.why for work in again.work} == {"stale"}
    monkeypatch.setattr(
        sys.modules["tasks.runs.pipeline.prepare"],
        "extract_audio",
        lambda *_: (_ for _ in ()).throw(StorageBusy("no answer")),
    )
    settings.scratch.mkdir(exist_ok=True)
    batch = pipeline.finish(again.pipeline, pipeline.prepare(again.pipeline, Batch(0, again.work)))
    again.committed(pipeline.commit_batch(again.pipeline, batch))
    assert again.report.exit_code == 1
    assert [f["reason"] for f in again.report.failures] == ["storage_busy"] * 4
    assert rows(tmp_path, "SELECT video_id, word_no, word, start_ms FROM words ORDER BY ALL") == true
    assert rows(tmp_path, "SELECT DISTINCT status FROM videos_all") == [("indexed",)]
    assert {work.why for work in open_session(str(bucket), settings, refresh=True).work} == {"stale"}


def test_a_snapshot_is_taken_again_when_a_generation_was_replaced_meanwhile(lake, result, monkeypatch):
    from tasks.lake.commit import commit
    from tasks.lake.maintain import expire

    (first,) = commit(lake, [result("one two")], run_id="r", device="cpu")
    real, done = lake.find_table, threading.Event()

    def find_table(name: str) -> DeltaTable | None:
        found = real(name)
        if name == "videos" and not done.is_set():
            done.set()
            commit(lake, [result("three four five", last_generation=first.generation)], run_id="r", device="cpu")
            expire(Lake(lake.uri), 1)
        return found

    monkeypatch.setattr(lake, "find_table", find_table)
    connection = connect(lake, Snapshot.of(lake))
    assert done.is_set()
    assert connection.execute("SELECT n_words, (SELECT count(*) FROM words) FROM videos").fetchall() == [(3, 3)]


# -- a batch --------------------------------------------------------------------------------------------------------------


def test_topics_that_fail_for_one_video_cost_that_video_its_topics_alone(bucket, tmp_path, monkeypatch):
    from tasks.stages.topics.runner import TopicsRunner

    real = TopicsRunner.make

    def faulty(runner, video):
        if video.metadata.title == "b":
            raise IndexError("no such label")
        return real(runner, video)

    with monkeypatch.context() as broken:
        broken.setattr(TopicsRunner, "make", faulty)
        with session_on(bucket, tmp_path) as session:
            index(session)
    assert [(f["key"], f["stage"], f["reason"]) for f in session.report.failures] == [("b.wav", "topics", "unexpected")]
    assert session.report.done["indexed"] == 4
    assert session.report.exit_code == 1
    runs = "SELECT r.status, r.attempts, r.next_try_at IS NOT NULL FROM stage_runs r JOIN videos USING (video_id) WHERE stage = 'topics'"
    assert rows(tmp_path, f"{runs} AND key = 'b.wav'") == [("failed", 1, True)]
    with session_on(bucket, tmp_path) as session:
        assert session.work == [], "its time has not come"
    with session_on(bucket, tmp_path, retry_failed=True) as session:
        assert [(work.key, work.why, work.stages, work.reads_object) for work in session.work] == [
            ("b.wav", "failed", ("topics",), False)
        ]
        session.committed(session.pipeline.commit(refresh(session.pipeline, session.refreshed())))
    assert rows(tmp_path, f"{runs} AND key = 'b.wav' ORDER BY r.generation")[-1] == ("done", 1, False)
    assert rows(tmp_path, "SELECT count(DISTINCT video_id) FROM topics") == [(4,)]
    with session_on(bucket, tmp_path, retry_failed=True) as session:
        assert session.work == []


def test_a_batch_that_one_video_brings_down_is_done_video_by_video(bucket, tmp_path):
    with session_on(bucket, tmp_path) as session:
        batch = Batch(0, session.work)
        assert session.split_batch(batch, StorageBusy("no answer")) == []
        singles = session.split_batch(batch, DecoderDied("killed"))
        assert [[work.key for work in single.work] for single in singles] == [[w.key] for w in session.work]
        session.give_up(singles[0], DecoderDied("A beam search process was killed."))
        index(session, *singles[1:])
    culprit = singles[0].work[0].key
    found = rows(tmp_path, "SELECT key, status, reason, next_try_at IS NULL FROM videos ORDER BY key")
    assert (culprit, "failed", "decoder_died", False) in found
    assert sum(status == "indexed" for _, status, _, _ in found) == 3


FAULTY = """
import sys
from tasks.runs import pipeline

real = pipeline.compute_emissions

def dying(run, batch):
    if any(work.key == "b.wav" for work in batch.work):
        raise RuntimeError("b.wav was too much")
    return real(run, batch)

pipeline.compute_emissions = dying
from nightscribe.cli import run
run(sys.argv[1:])
"""


@pytest.mark.long
def test_the_flow_takes_such_a_batch_apart_and_keeps_the_other_videos(bucket, tmp_path):
    command = [sys.executable, "-c", FAULTY, "index", str(bucket), "--json"]
    done = subprocess.run(
        command, env=command_environment(tmp_path, PYTHONPATH=str(REPO)), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1, done.stderr
    report = json.loads(done.stdout)
    assert (report["indexed"], report["failed"]) == (3, 1)
    (failure,) = report["failures"]
    assert (failure["key"], failure["reason"]) == ("b.wav", "unexpected")
    assert "b.wav was too much" in failure["error"], "the cause, and not that later steps never began"
    assert "done again video by video" in done.stderr
    assert "Traceback" not in done.stderr


PANICKING = """
import sys
import tasks.runs.status

class PanicException(BaseException):
    pass

def status_of(*_):
    raise PanicException("index out of bounds")

tasks.runs.status.status_of = status_of
from nightscribe.cli import run
run(sys.argv[1:])
"""


def test_a_panic_of_a_library_is_a_sentence_and_no_traceback(tmp_path):
    create_lake(Lake(str(tmp_path / "lake")))
    command = [sys.executable, "-c", PANICKING, "status"]
    done = subprocess.run(
        command, env=command_environment(tmp_path, PYTHONPATH=str(REPO)), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "index out of bounds" in done.stderr
    assert "Traceback" not in done.stderr


# -- names ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["lake [new]", "lake*", "what?"])
def test_a_lake_whose_path_is_a_pattern_is_refused_before_any_work(tmp_path, name):
    with pytest.raises(LakeNotWritable, match=r"none of \[ \] \* \?"):
        Lake(str(tmp_path / name))
