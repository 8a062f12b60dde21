"""Disks that fill up, folders that turn read-only, tools that hang, processes that are killed, memory that runs out."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from conftest import command_environment
from forked import nightscribe
from sessions import cut, session_on, through, words_of

from tasks.errors import DecoderDied, ObjectChanged, OutOfMemory, RunStopped, StorageBusy
from tasks.lake.check import check
from tasks.lake.create import create_lake
from tasks.lake.store import Lake
from tasks.lake.views import connect
from tasks.runs import pipeline
from tasks.runs.pipeline import Batch


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of six megabytes; needs the right to mount one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "none", folder], capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"no disk can be mounted here: {done.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def run_index(bucket: Path, tmp_path: Path, **environment: str) -> subprocess.CompletedProcess:
    return nightscribe("index", bucket, "--json", env=command_environment(tmp_path, **environment))


# -- disks --------------------------------------------------------------------------------------------------------------


def test_without_space_in_scratch_a_video_gets_its_row_and_the_others_go_on(small_disk, bucket, tmp_path):
    cut(bucket / "much too long.wav", 400)  # 12 MB of samples
    with session_on(bucket, tmp_path, scratch=small_disk) as session:
        batch = through(session, Batch(0, session.work))
        session.committed(pipeline.commit_batch(session.pipeline, batch))
    rows = connect(Lake(str(tmp_path / "lake"))).execute(
        "SELECT key, reason, error, next_try_at IS NOT NULL FROM videos WHERE status = 'failed'"
    )
    ((key, reason, error, due),) = rows.fetchall()
    assert (key, reason, due) == ("much too long.wav", "scratch_full", True)
    assert error.startswith("No space in scratch")
    assert session.report.done["indexed"] == 4


@pytest.mark.long
def test_without_space_in_the_lake_the_run_says_so_and_the_same_command_goes_on_from_there(
    small_disk, bucket, tmp_path
):
    lake = small_disk / "lake"
    create_lake(Lake(str(lake)))
    ballast = small_disk / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb") as handle:
        while handle.write(b"\0" * 65536):
            handle.flush()
    done = run_index(bucket, tmp_path, NIGHTSCRIBE_LAKE=str(lake), NIGHTSCRIBE_BATCH_VIDEOS="2")
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    assert "No space left" in done.stderr
    assert "Make space on the lake's disk" in done.stderr
    assert check(Lake(str(lake))) == []
    assert list((tmp_path / "scratch").glob("run-*")) == []

    ballast.unlink()
    done = run_index(bucket, tmp_path, NIGHTSCRIBE_LAKE=str(lake))
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["indexed"] == 4
    assert check(Lake(str(lake))) == []


def test_a_lake_that_turns_read_only_keeps_what_it_has_and_takes_the_rest_later(small_disk, bucket, tmp_path):
    lake = Lake(str(small_disk / "lake"))
    with session_on(bucket, tmp_path, lake=lake.uri, batch_videos=2) as session:
        first, second = session.batches()
        session.committed(pipeline.commit_batch(session.pipeline, through(session, first)))
        heard = through(session, second)
        subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
        with pytest.raises(StorageBusy, match=r"(?i)read-only") as caught:
            pipeline.commit_batch(session.pipeline, heard)
        assert "writable" in caught.value.next
        assert connect(lake).execute("SELECT count(*) FROM videos").fetchone() == (2,)
        subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
        session.committed(pipeline.commit_batch(session.pipeline, heard))
    assert connect(lake).execute("SELECT count(*) FROM videos").fetchone() == (4,)
    assert check(lake) == []


def test_a_run_whose_batches_all_fail_ends_early_and_says_what_is_kept(bucket, tmp_path):
    with session_on(bucket, tmp_path, batch_videos=1) as session:
        batches = list(session.batches())
        for batch in batches[:2]:
            session.give_up(batch, StorageBusy("no answer"))
        session.committed(pipeline.commit_batch(session.pipeline, through(session, batches[2])))
        for batch in batches[:2]:
            session.give_up(batch, StorageBusy("no answer"))
        with pytest.raises(RunStopped, match="1 videos of it are in the lake"):
            session.give_up(batches[3], StorageBusy("no answer"))
        assert session.report.exit_code == 1


# -- files and tools ------------------------------------------------------------------------------------------------------


def test_a_file_that_is_rewritten_while_it_is_read_fails_and_is_due_again(bucket, tmp_path):
    with session_on(bucket, tmp_path) as session:
        item = session.work[0]
        with (
            pytest.raises(ObjectChanged),
            session.bucket.fetched(item.key, item.fingerprint, tmp_path, 0.0) as path,
        ):
            cut(path, 9)
        batch = pipeline.prepare(session.pipeline, Batch(0, [item]))
        assert batch.items[0].result.reason == "object_changed"
        assert batch.items[0].result.next_try_at is not None


def test_an_ffmpeg_that_hangs_is_stopped_and_only_its_video_fails(bucket, tmp_path, monkeypatch):
    tools = tmp_path / "tools"
    tools.mkdir()
    real = shutil.which("ffmpeg")
    (tools / "ffmpeg").write_text(f'#!/bin/sh\ncase "$*" in *b.wav*) exec sleep 1000;; esac\nexec {real} "$@"\n')
    (tools / "ffmpeg").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    with session_on(bucket, tmp_path, audio_stall_s=2.0) as session:
        batch = pipeline.prepare(session.pipeline, Batch(0, session.work))
    failed = {item.work.key: item.result.reason for item in batch.items if item.result}
    assert failed == {"b.wav": "timeout"}
    assert sum(bool(item.hearings) for item in batch.items) == 3
    assert "sleep 1000" not in subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout


def test_a_decoder_that_is_killed_is_replaced_and_no_word_is_lost(bucket, tmp_path):
    with session_on(bucket, tmp_path, decoders=1) as session:
        true = words_of(through(session, Batch(0, session.work)))
        run = session.pipeline
        batch = pipeline.prepare(run, Batch(1, session.work))
        (victim,) = run.pool()._executor._processes
        killer = threading.Timer(0.05, os.kill, (victim, signal.SIGKILL))
        killer.start()
        with contextlib.suppress(DecoderDied):
            pipeline.finish(run, pipeline.compute_emissions(run, batch))
        killer.join()
        time.sleep(0.5)
        # As the flow tries again: what was heard is heard once more where it was lost.
        with contextlib.suppress(DecoderDied):
            pipeline.finish(run, batch)
        assert words_of(pipeline.finish(run, batch)) == true


def test_a_fault_nobody_foresaw_costs_one_video_and_says_so(bucket, tmp_path, monkeypatch):
    module = sys.modules["tasks.runs.pipeline.prepare"]  # the package has a function of this name
    real = module.probe

    def faulty(path, settings):
        if path.name == "b.wav":
            raise ZeroDivisionError("division by zero")
        return real(path, settings)

    monkeypatch.setattr(module, "probe", faulty)
    with session_on(bucket, tmp_path) as session:
        session.committed(pipeline.commit_batch(session.pipeline, through(session, Batch(0, session.work))))
    assert [(f["key"], f["reason"]) for f in session.report.failures] == [("b.wav", "unexpected")]
    assert "ZeroDivisionError: division by zero" in str(session.report.failures[0]["error"])
    assert session.report.done["indexed"] == 3


# -- memory ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_a_model_out_of_memory_hears_fewer_windows_at_once_and_the_same_words(bucket, tmp_path, monkeypatch, error):
    with session_on(bucket, tmp_path, model_batch=4, window_s=8.0) as session:
        true = words_of(through(session, Batch(0, session.work)))
        model = session.pipeline.acoustic
        monkeypatch.setattr(model.batch, "items", 4)
        real, sizes = model.infer, []

        def tight(inputs):
            sizes.append(len(inputs))
            if len(inputs) > 1:
                raise error
            return real(inputs)

        monkeypatch.setattr(model, "infer", tight)
        assert words_of(through(session, Batch(1, session.work))) == true
        assert max(sizes) > 1
        assert model.batch.items == 1
        monkeypatch.setattr(model, "infer", lambda inputs: (_ for _ in ()).throw(error))
        with pytest.raises(OutOfMemory, match="One window of 8 s"):
            through(session, Batch(2, session.work))
