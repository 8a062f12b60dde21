"""SIGKILL of a whole run at any moment, again and again: what is in the lake at the end is what an unbroken run makes.

`--long` kills sixty times, without it once. Every run is the command that a user types; one that is killed has a
Prefect server of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from conftest import BUCKET, command_environment, shared_prefect
from filelock import FileLock

from tasks.lake.check import check
from tasks.lake.maintain import maintain
from tasks.lake.store import Lake
from tasks.lake.views import connect

EVERYTHING = """
    SELECT key, status, reason, n_words, n_cues, list((word, start_ms, end_ms, round(words.confidence, 3)) ORDER BY word_no)
    FROM videos LEFT JOIN words USING (video_id, generation) GROUP BY ALL ORDER BY key
"""


class Archive:
    """Short clips in batches of two, so that a run commits many times; the runs are started here and killed."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.bucket = folder, folder / "bucket"
        self.bucket.mkdir(parents=True)
        self.number = 0
        sources = ["sport/cup-final.mov", "business/interest-rates.mp4", "entertainment/street-music.webm"]
        for n in range(9):
            out = self.bucket / f"clip {n}.wav"
            command = [
                "ffmpeg",
                "-v",
                "error",
                "-ss",
                str(3 * n),
                "-t",
                "3",
                "-i",
                BUCKET / sources[n % 3],
                "-ac",
                "1",
                out,
            ]
            subprocess.run(list(map(str, command)), check=True, stdin=subprocess.DEVNULL)
        (self.bucket / "broken.mp4").write_bytes(b"no video")
        self.fresh()

    def fresh(self) -> None:
        self.number += 1
        self.lake = Lake(str(self.folder / f"lake {self.number}"))

    def start(self, server: str | None = None) -> subprocess.Popen:
        own = {"NIGHTSCRIBE_LAKE": self.lake.uri, "NIGHTSCRIBE_BATCH_VIDEOS": "2", "PREFECT_API_URL": server}
        environment = command_environment(self.folder, **own)
        command = [sys.executable, "-m", "nightscribe", "index", str(self.bucket), "--json"]
        return subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            # Tests that run in the background of a shell inherit that Ctrl-C is ignored.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler) and None,
        )

    def rows(self, sql: str):
        return connect(self.lake).execute(sql).fetchall()

    def finish(self) -> dict:
        """Run to the end."""
        process = self.start(shared_prefect())
        out, err = process.communicate(timeout=300)
        assert "Traceback" not in err, err
        assert process.returncode in (0, 1), err
        return json.loads(out)

    def processes(self) -> list[str]:
        """What still runs of any run here: command, server, decoders and ffmpeg all inherit its scratch folder's name."""
        mark = f"NIGHTSCRIBE_SCRATCH={self.folder}".encode()
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):  # it has ended, or is another user's
                if mark in (process / "environ").read_bytes():
                    found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace"))
        return [line for line in found if line]


def lines_of(process: subprocess.Popen) -> tuple[threading.Event, list[str], threading.Thread]:
    """Reads stderr beside us; the event is set by the first progress line."""
    begun, lines = threading.Event(), []

    def read() -> None:
        assert process.stderr is not None
        for line in process.stderr:
            lines.append(line)
            if "to do." in line:
                begun.set()

    thread = threading.Thread(target=read)
    thread.start()
    return begun, lines, thread


def kill(archive: Archive, delay: float, *, after_first_line: bool) -> bool:
    """Start a run and kill its whole group; whether it was still running."""
    process = archive.start()
    begun, lines, thread = lines_of(process)
    if after_first_line:
        while not begun.wait(0.05) and process.poll() is None:
            pass
    try:
        process.wait(delay)
        running = False
    except subprocess.TimeoutExpired:
        running = True
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    thread.join(timeout=30)
    process.stdout.close()
    process.stderr.close()
    assert not any("Traceback" in line for line in lines), "".join(lines)
    return running


def sound(archive: Archive) -> None:
    """What must hold after any kill."""
    if not archive.lake.exists():
        return
    assert check(archive.lake) == []
    assert archive.rows("SELECT key FROM videos GROUP BY key HAVING count(*) > 1") == []


def test_a_run_that_is_killed_again_and_again_ends_as_an_unbroken_one(tmp_path, long):
    kills, early = (50, 10) if long else (1, 0)
    rng = random.Random(4)
    archive = Archive(tmp_path)
    started = time.monotonic()
    process = archive.start()
    begun, _, thread = lines_of(process)
    begun.wait(120)
    first_line = time.monotonic() - started
    process.wait(300)
    thread.join()
    process.stdout.close()
    process.stderr.close()
    unbroken = time.monotonic() - started
    true = archive.rows(EVERYTHING)
    assert len(true) == 10
    assert sum(words for *_, words, _, _ in true) > 10

    archive.fresh()
    ends = 0
    for n in range(kills + early):
        late = n >= early
        longest = unbroken - first_line if late else first_line
        while not kill(archive, rng.uniform(0, longest), after_first_line=late):
            # It came to its end first. That is no kill; what it made is compared, and a new lake begun.
            assert archive.rows(EVERYTHING) == true
            archive.fresh()
            ends += 1
        sound(archive)
    assert ends < kills, "most runs must have been killed"

    started = time.monotonic()
    archive.finish()
    assert time.monotonic() - started < 2 * unbroken + 10, "nothing waits for the lease of a dead run"
    assert archive.rows(EVERYTHING) == true
    again = archive.finish()
    assert (again["indexed"], again["failed"], again["unchanged"]) == (0, 0, 10)

    maintain(archive.lake, keep_generations=3, grace_h=0, scratch=tmp_path / "scratch")
    assert archive.rows(EVERYTHING) == true
    for name in ("words", "cues", "passages", "topics"):
        assert archive.rows(f"SELECT count(*) FROM _{name} ANTI JOIN _videos USING (video_id, generation)") == [(0,)]
    assert [p.name for p in (tmp_path / "scratch").iterdir() if not p.name.startswith("lane-")] == []
    limit = time.monotonic() + 10  # a server looks once a second whether its run still lives
    while archive.processes() and time.monotonic() < limit:
        time.sleep(0.2)
    assert archive.processes() == []


def test_ctrl_c_ends_within_seconds_keeps_what_is_finished_and_exits_130(tmp_path):
    archive = Archive(tmp_path)
    process = archive.start()
    begun, lines, thread = lines_of(process)
    begun.wait(120)
    limit = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < limit:
        if archive.lake.exists() and archive.rows("SELECT count(*) FROM videos") != [(0,)]:
            break
        time.sleep(0.05)
    assert any("spawn_main" in line for line in archive.processes()), "decoders are seen while they run"
    asked = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(60) == 130, "".join(lines)
    assert time.monotonic() - asked < 15
    thread.join()
    process.stdout.close()
    process.stderr.close()
    assert "Traceback" not in "".join(lines)
    kept = archive.rows("SELECT count(*) FROM videos")[0][0]
    assert kept >= 2
    assert archive.rows("SELECT outcome FROM runs") == [("interrupted",)]
    assert archive.finish()["unchanged"] >= kept
    assert check(archive.lake) == []
    assert list((tmp_path / "scratch").glob("run-*")) == []


@pytest.mark.long
def test_ctrl_c_ends_a_run_that_waits_for_another_one_on_its_device(tmp_path):
    archive = Archive(tmp_path)
    (tmp_path / "scratch").mkdir()
    with FileLock(tmp_path / "scratch" / "lane-cpu.lock"):
        process = archive.start()
        begun, lines, thread = lines_of(process)
        begun.wait(120)
        time.sleep(3)
        assert process.poll() is None
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(20) == 130, "".join(lines)
    thread.join()
    process.stdout.close()
    process.stderr.close()
    assert "Interrupted" in "".join(lines)
