"""A backfill over a real Prefect server and real workers: slices shared, a worker killed, the server away for a while (`--long`:
2,000 clips), and its parts.
"""

from __future__ import annotations

import json
import time
import wave
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from conftest import command_environment
from prefect_server import kill
from sessions import cut as cut_clip
from sessions import session_on

from tasks.errors import DifferentRecipe, Misconfigured
from tasks.lake.check import check
from tasks.lake.claims import ClaimState
from tasks.lake.notes import Notes
from tasks.lake.store import Lake
from tasks.lake.views import connect
from tasks.records import VideoTask
from tasks.runs.backfill.drive import Judge, Run
from tasks.runs.backfill.plan import between, cut, ordered
from tasks.runs.backfill.state import begin, find, open_slice
from tasks.settings import Settings
from tasks.stages.registry import STAGES


def clips(folder: Path, n: int) -> Path:
    """Clips of one to two seconds, no two alike."""
    folder.mkdir()
    cut_clip(folder / "whole.wav", 10)
    with wave.open(str(folder / "whole.wav")) as whole:
        sound = np.frombuffer(whole.readframes(160_000), np.int16)
    (folder / "whole.wav").unlink()
    for i in range(n):
        start, length = (i * 997) % 120_000, 16_000 + (i * 13) % 16_000
        with wave.open(str(folder / f"clip {i:04d}.wav"), "wb") as out:
            out.setnchannels(1)
            out.setsampwidth(2)
            out.setframerate(16_000)
            out.writeframes(sound[start : start + length].tobytes())
    return folder


@pytest.mark.long
def test_a_backfill_survives_a_killed_worker_a_restarted_server_and_its_own_end(prefect, tmp_path):
    # Whoever looks more often takes the machine from the workers.
    n, slices, batch, look_s = 2000, 25, 8, 10.0
    bucket = clips(tmp_path / "bucket", n)
    (bucket / "notes.txt").write_text("no video")
    lake = Lake(str(tmp_path / "lake"))
    own = {"NIGHTSCRIBE_LAKE": lake.uri, "NIGHTSCRIBE_BATCH_VIDEOS": str(batch), "NIGHTSCRIBE_SILENCE_S": "20"}
    hours = str(2.02 * n / slices / 3600)
    order = ("backfill", str(bucket), "--yes", "--slice-hours", hours, "--json")
    planned = json.loads(prefect.command(*order, "--plan", **own).stdout)
    slices = len(planned["slices"])
    assert slices >= 3
    assert sum(part["videos"] for part in planned["slices"]) == n
    assert not lake.exists(), "a plan writes nothing"

    def rows() -> int:
        return connect(lake).execute("SELECT count(*) FROM videos").fetchone()[0] if lake.exists() else 0

    def until(videos: int) -> None:
        limit = time.monotonic() + 120 + n
        while rows() < videos:
            assert time.monotonic() < limit, [prefect.log(name) for name in ("first", "one", "two")]
            time.sleep(look_s)

    command = prefect.begin("first", *order, **own)
    one = prefect.worker("one", "--limit", "1", **own)
    two = prefect.worker("two", "--limit", "1", **own)
    until(3)
    kill(one)  # in the middle of a slice
    kill(command)  # the workers need no one to watch
    three = prefect.worker("three", "--limit", "1", **own)
    until(n // 2)
    prefect.restart(after_s=2)
    away = {"NIGHTSCRIBE_ELASTICSEARCH_URL": "http://127.0.0.1:9"}
    again = prefect.begin("again", *order, "--at-once", "2", "--no-sync", **own, **away)
    assert again.wait(600 + 2 * n) == 0, [prefect.log(name) for name in ("again", "two", "three")]
    report = json.loads((prefect.folder / "again.out").read_text())
    assert "Elasticsearch was left as it is (--no-sync). Then run: nightscribe sync" in prefect.log("again")
    assert "Search is behind" not in prefect.log("again")
    for worker in (two, three):
        kill(worker)

    connection = connect(lake)
    assert connection.execute("SELECT count(*), count(DISTINCT key) FROM videos").fetchone() == (n, n)
    assert check(lake) == []
    assert report["slices"] == {"planned": slices, "done": slices, "given_up": 0}
    assert (report["videos"], report["indexed"] + report["no_speech"]) == (n, n)
    assert (report["failed"], report["left"], report["failures"]) == (0, 0, [])
    assert report["left_out"]["extensions"] == {"txt": 1}
    media, words = connection.execute("SELECT sum(duration_ms), sum(n_words) FROM videos").fetchone()
    assert (report["media_ms"], report["words"]) == (media, words)
    # Only the batch that was under way when its worker died was heard twice.
    heard = connection.execute("SELECT count(*) FROM videos_all").fetchone()[0]
    assert n <= heard <= n + 4 * batch
    assert connection.execute("SELECT outcome FROM runs WHERE command = 'backfill'").fetchall() == [("done",)]
    assert Notes(lake, "_backfills").names() == []
    nothing = prefect.command(*order, **own)
    assert (nothing.returncode, json.loads(nothing.stdout)["slices"]) == (0, [])


# -- the parts --------------------------------------------------------------------------------------------------------


def work(key: str, *, days: int = 0, size: int = 1) -> VideoTask:
    return VideoTask(
        key, key, size, "1", datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=days), None, None, "new", STAGES.names
    )


def test_slices_have_equal_hours_and_all_of_the_work_in_order():
    items = [work(f"{n}") for n in range(101)]
    lengths = [60.0 + 30 * (n % 5) for n in range(101)]
    slices = cut(items, lengths, hours=0.5)
    assert [item for part in slices for item in part.work] == items
    assert [part.number for part in slices] == list(range(len(slices)))
    assert len(slices) == 7
    assert max(part.media_s for part in slices) - min(part.media_s for part in slices) <= 180


def test_a_video_longer_than_a_slice_is_a_slice():
    slices = cut([work("a"), work("b"), work("c")], [36_000.0, 60.0, 60.0], hours=1)
    assert [[item.key for item in part.work] for part in slices] == [["a", "b", "c"]], "a rest is no slice of its own"
    slices = cut([work("a"), work("b")], [36_000.0, 3000.0], hours=1)
    assert [[item.key for item in part.work] for part in slices] == [["a"], ["b"]]


def test_a_huge_archive_has_no_more_slices_than_prefect_bears():
    items = [work(f"{n}") for n in range(20_000)]
    assert len(cut(items, [3600.0] * 20_000, None)) == 2000


def test_hours_that_would_make_more_slices_than_prefect_bears_are_refused():
    items, lengths = [work(f"{n}") for n in range(20_000)], [3600.0] * 20_000
    with pytest.raises(Misconfigured, match="Slices of 1 hours would be 20,000, and 2,000") as caught:
        cut(items, lengths, hours=1)
    assert caught.value.next == "--slice-hours 10.1 or more, or leave it out."
    assert len(cut(items, lengths, hours=10.1)) <= 2000


def test_order_and_bounds():
    items = [work("b", days=1), work("a", days=3), work("c/x", days=2)]
    assert [item.key for item in ordered(items, "newest")] == ["a", "c/x", "b"]
    assert [item.key for item in ordered(items, "oldest")] == ["b", "c/x", "a"]
    assert [item.key for item in ordered(items, "key")] == ["a", "b", "c/x"]
    second, third = (datetime(2024, 1, day, tzinfo=UTC) for day in (2, 4))
    assert [item.key for item in between(items, prefix="", since=second, until=third)] == ["b", "c/x"]
    assert [item.key for item in between(items, prefix="c/", since=None, until=None)] == ["c/x"]


LIVING = ClaimState(1, 7, False, {"host": "elsewhere", "pid": 1, "started": 0.0})


def left_by(attempt: int) -> ClaimState:
    """The claim that a try at a slice left behind."""
    return ClaimState(attempt, 7, True, {**LIVING.owner, "attempt": attempt})


@pytest.mark.parametrize(
    ("state", "attempt", "silence_s", "decision"),
    [
        ("SCHEDULED", 1, 0, "wait"),
        ("RUNNING", 1, 60, "wait"),
        ("RUNNING", 1, 0, "bury"),
        ("PENDING", 1, 0, "bury"),
        ("COMPLETED", 1, 60, "wait"),
        ("COMPLETED", 1, 0, "submit"),
        ("FAILED", 1, 60, "submit"),
        ("CRASHED", 2, 60, "submit"),
    ],
)
def test_what_becomes_of_a_slice(state, attempt, silence_s, decision):
    judge = Judge(silence_s, 3)
    assert judge.decide(4, Run("r", 4, attempt, state), lambda: LIVING) == decision
    assert judge.decide(5, None, lambda: LIVING) == "submit"


def test_a_slice_that_fails_again_and_again_is_given_up_and_a_new_call_tries_again():
    judge = Judge(60, 2)
    states = [judge.decide(0, run, lambda run=run: left_by(run.attempt)) for run in
              (Run("a", 0, 1, "RUNNING"), Run("a", 0, 1, "FAILED"), Run("b", 0, 2, "FAILED"))]  # fmt: skip
    assert states == ["wait", "submit", "give up"]
    assert Judge(60, 2).decide(0, Run("b", 0, 2, "FAILED"), lambda: left_by(2)) == "submit"


@pytest.mark.parametrize("state", ["FAILED", "CRASHED"])
def test_a_run_that_failed_before_it_held_its_slice_costs_no_try(state):
    judge = Judge(60, 2)
    for attempt in range(2, 8):
        assert judge.decide(0, Run("r", 0, attempt, state), lambda: left_by(1)) == "submit"
    assert judge.refusals == 6
    assert judge.decide(0, Run("r", 0, 8, "CANCELLED"), lambda: left_by(1)) == "submit"
    assert judge.decide(0, Run("r", 0, 9, "CANCELLED"), lambda: left_by(1)) == "give up"


@pytest.fixture
def planned(bucket, tmp_path):
    with session_on(str(bucket), tmp_path) as session:
        slices = cut(session.work, [4.0, 4.0, 4.0, 36.0], hours=26 / 3600)
        job = begin(session, slices, options={"retry_failed": False, "refresh": False}, estimate={})
        yield job, session.settings


def test_a_plan_in_the_lake_says_which_objects_are_in_a_slice(planned):
    job, settings = planned
    assert find(job.lake, job.header["bucket_id"]) == job
    assert [[item.key for item in job.objects(n)] for n in range(2)] == [["a.wav", "b.wav", "c.wav"], ["long.wav"]]
    assert len(job.objects()) == 4
    again, session = open_slice(job.lake, job.id, 0, settings)
    assert [item.key for item in session.work] == ["a.wav", "b.wav", "c.wav"]
    assert session.scan.gone == [], "what is not in the slice is not gone"
    again.finish(0, {})
    assert open_slice(job.lake, job.id, 0, settings)[1] is None
    with pytest.raises(Misconfigured, match="no slice 2"):
        open_slice(job.lake, job.id, 2, settings)
    job.clear()
    assert find(job.lake, job.header["bucket_id"]) is None


def test_a_machine_with_other_settings_refuses_a_slice(planned):
    job, settings = planned
    with pytest.raises(DifferentRecipe, match="differ"):
        open_slice(job.lake, job.id, 0, settings.model_copy(update={"beam_width": 7}))


def test_what_is_done_since_the_plan_is_not_done_again(planned, result):
    from tasks.lake.commit import commit

    job, settings = planned
    _, session = open_slice(job.lake, job.id, 0, settings)
    newer = next(item for item in session.work if item.key == "b.wav")
    made = result("hello", video_id=newer.video_id, key="b.wav", fingerprint="another")
    commit(job.lake, [made], run_id="night", device="cpu")
    _, session = open_slice(job.lake, job.id, 0, settings)
    assert [item.key for item in session.work] == ["a.wav", "c.wav"]


def test_a_slice_leaves_the_device_to_other_runs(planned, tmp_path):
    import threading

    from tasks.machine.scratch import with_priority
    from tasks.runs.pipeline.lane import lane

    job, settings = planned
    _, session = open_slice(job.lake, job.id, 0, settings)
    got = threading.Event()

    def work_on() -> None:
        with lane(session.pipeline):
            got.set()

    with with_priority(settings.scratch, "night"):
        thread = threading.Thread(target=work_on)
        thread.start()
        assert not got.wait(1.2)
    thread.join(timeout=10)
    assert got.is_set()


def test_without_a_server_a_backfill_says_what_to_start_and_plans_nothing_into_the_lake(bucket, tmp_path):
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-m", "nightscribe", "backfill", str(bucket), "--yes", "--json"],
        env=command_environment(tmp_path, PREFECT_API_URL=None), capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["code"] == "not_set_up"
    assert find(Lake(str(tmp_path / "lake")), Path(bucket).as_uri()) is None
    assert Settings(lake=str(tmp_path / "lake")).slice_tries == 3
