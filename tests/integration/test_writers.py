"""Many processes on one lake at once, on the same and on different videos, while another maintains it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import command_environment

from tasks.lake.check import check
from tasks.lake.create import create_lake
from tasks.lake.maintain import maintain
from tasks.lake.store import Lake
from tasks.lake.views import connect

WRITERS = 8
KEPT = 2
STEPS = 5
HALF = """
    SELECT v.video_id, v.n_words, count(w.word) FROM videos v LEFT JOIN words w USING (video_id, generation)
    GROUP BY ALL HAVING count(w.word) <> v.n_words
"""
SHARED = 6  # videos that every writer commits; the others are each writer's own

# A process of its own, as a worker on another machine is one. Prints what it committed as a line each.
WRITER = """
import json, sys, time
from tasks.lake.commit import commit
from tasks.lake.store import Lake
from tasks.records import Cue, Metadata, Recipes, Result, VideoTask, Word
from tasks.stages.registry import STAGES
from tasks.stages.transcript import outcomes

RECIPES = Recipes(dict.fromkeys(STAGES.names, "r"))
uri, me, until, steps = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
lake, step, last = Lake(uri), 0, {}
while step < steps or time.time() < until:
    results = []
    for video in [f"shared-{step % 6}", f"own-{me}-{step}"]:
        words = tuple(Word(f"w{me}x{step}x{i}", 100 * i, 100 * i + 90, 0.5) for i in range(20 + step % 7))
        text = " ".join(w.word for w in words)
        work = VideoTask(video, video, 1, "1-1", None, None, None, "new", last_generation=last.get(video, 0))
        results.append(Result(work, "b", "b", "indexed", Metadata("t"), RECIPES, words=words,
                              outcomes=outcomes(words, (Cue(0, words[-1].end_ms, text, 0.5, 0, len(words) - 1),))))
    for done in commit(lake, results, run_id=str(me), device="cpu"):
        last[done.work.video_id] = done.generation
        print(json.dumps([done.work.video_id, done.generation, [w.word for w in done.words]]), flush=True)
    step += 1
"""


def test_eight_writers_and_maintenance_lose_nothing_and_keep_nothing_twice(tmp_path: Path, long: bool):
    lake = Lake(str(tmp_path / "lake"))
    create_lake(lake)
    assert write_and_maintain(lake, tmp_path, seconds=120 if long else 0) > 50


def write_and_maintain(lake: Lake, tmp_path: Path, *, seconds: float, count: int = WRITERS) -> int:
    """Writers at once, with readers and maintenance beside them, each for `STEPS` commits and so long; counts and checksums at the
    end. How many rows were committed."""
    until = time.time() + seconds
    with contextlib.ExitStack() as files:
        out, err = (
            [files.enter_context((tmp_path / f"{n}.{kind}").open("w")) for n in range(count)] for kind in ("out", "err")
        )
        writers = [
            subprocess.Popen(
                [sys.executable, "-c", WRITER, lake.uri, str(n), str(until), str(STEPS)], stdout=out[n], stderr=err[n]
            )
            for n in range(count)
        ]
    rounds = 0
    while any(process.poll() is None for process in writers):
        assert maintain(lake, keep_generations=KEPT, grace_h=1).problems == []
        connection = connect(lake)  # what a reader sees at any moment is whole
        assert connection.execute(HALF).fetchall() == []
        rounds += 1
    errors = [(tmp_path / f"{n}.err").read_text() for n in range(count)]
    assert [process.returncode for process in writers] == [0] * count, errors
    assert rounds >= 1

    committed = {}
    for n in range(count):
        for line in (tmp_path / f"{n}.out").read_text().splitlines():
            video, generation, words = json.loads(line)
            assert (video, generation) not in committed
            committed[video, generation] = words
    connection = connect(lake)
    history = connection.execute(
        "SELECT video_id, generation, list(word ORDER BY word_no) FROM words_all GROUP BY ALL"
    ).fetchall()
    left = {(video, generation): words for video, generation, words in history}
    assert left.items() <= committed.items()

    newest: dict[str, int] = {}
    for video, generation in committed:
        newest[video] = max(generation, newest.get(video, 0))
    current = connection.execute(
        "SELECT video_id, list(word ORDER BY word_no) FROM words GROUP BY ALL ORDER BY ALL"
    ).fetchall()
    assert checksum(current) == checksum(sorted((v, committed[v, g]) for v, g in newest.items()))

    for video, generation in newest.items():
        generations = sorted((g for v, g in committed if v == video), reverse=True)
        assert {(video, g) for g in generations[:KEPT]} <= left.keys(), f"{generation} and the one before are kept"

    expired = maintain(lake, keep_generations=1, grace_h=0)
    assert expired.problems == check(lake) == []
    assert expired.expired_generations == len(left) - len(newest)
    again = (
        connect(lake)
        .execute("SELECT video_id, list(word ORDER BY word_no) FROM words_all GROUP BY ALL ORDER BY ALL")
        .fetchall()
    )
    assert checksum(again) == checksum(current)
    return len(committed)


@pytest.mark.long
def test_two_runs_on_the_same_videos_at_the_same_time_leave_each_once(bucket: Path, tmp_path: Path):
    command = [sys.executable, "-m", "nightscribe", "index", str(bucket), "--json"]
    runs = [
        subprocess.Popen(
            command, env=command_environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    said = [process.communicate(timeout=300) for process in runs]
    assert [process.returncode for process in runs] == [0, 0], said
    assert not any("Traceback" in err for _, err in said)
    lake = Lake(str(tmp_path / "lake"))
    connection = connect(lake)
    assert connection.execute("SELECT key, count(*) FROM videos GROUP BY key ORDER BY key").fetchall() == [
        ("a.wav", 1), ("b.wav", 1), ("c.wav", 1), ("long.wav", 1),
    ]  # fmt: skip
    assert connection.execute(HALF).fetchall() == []
    spoken = connection.execute(
        "SELECT video_id, list(word ORDER BY word_no) FROM words_all GROUP BY video_id, generation"
    ).fetchall()
    both = {video: [words for v, words in spoken if v == video] for video, _ in spoken}
    assert all(words == kept[0] for kept in both.values() for words in kept), "both heard the same"
    assert check(lake) == []


def checksum(rows: list[tuple[str, list[str]]]) -> str:
    return hashlib.sha256(json.dumps([list(row) for row in rows]).encode()).hexdigest()
