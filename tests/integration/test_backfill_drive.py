"""Slices handed out to a fleet that misbehaves, and what a slice and a report call done."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from sessions import session_on

from tasks.backfill.drive import REFUSED, Judge, Run, drive
from tasks.backfill.plan import cut
from tasks.backfill.report import report_of
from tasks.backfill.state import begin, find, open_slice
from tasks.errors import DecoderDied, RunStopped
from tasks.lake.claims import Held, claimed
from tasks.lake.commit import commit
from tasks.lake.notes import Notes

DEAD = Held(1, 7, False, {"host": "", "pid": 1, "started": 0.0, "attempt": 1})


@pytest.fixture
def planned(bucket, tmp_path):
    with session_on(str(bucket), tmp_path, silence_s=5) as session:
        slices = cut(session.work, [4.0, 4.0, 4.0, 36.0], hours=26 / 3600)
        job = begin(session, slices, options={"retry_failed": False, "refresh": False}, estimate={})
        yield job, session.settings


class Workers:
    """A fleet in which every run ends as `work` says; by itself it only keeps what was handed out."""

    def __init__(self, work=lambda slice, attempt: "SCHEDULED"):
        self.work, self.handed_out, self.found = work, [], {}

    def runs(self):
        return dict(self.found)

    def submit(self, slice, attempt):
        self.handed_out.append((slice, attempt))
        told = self.work(slice, attempt)
        state, name = ("FAILED", REFUSED) if told == REFUSED else (told, told.title())
        self.found[slice] = Run(f"{slice}-{attempt}", slice, attempt, state, "as told", name)

    def bury(self, run, message):
        self.found[run.slice] = replace(run, state="CRASHED")


def drove(job, fleet, **more):
    return drive(job, fleet, silence_s=60, tries=3, poll_s=0.01, **more)


def test_a_backfill_that_is_called_off_hands_out_nothing_more(planned):
    job, _ = planned
    fleet = Workers()

    def call_off(done, total, remark):
        if fleet.handed_out:
            job.clear()
            fleet.found = {n: replace(run, state="CANCELLED") for n, run in fleet.found.items()}

    with pytest.raises(RunStopped, match="called off"):
        drove(job, fleet, show=call_off)
    assert fleet.handed_out == [(0, 1), (1, 1)]
    job.finish(0, {})  # by a worker that comes to its end
    assert Notes(job.lake, "_backfills").names() == []


def test_a_machine_that_refuses_everything_costs_no_slice_its_tries(planned):
    job, _ = planned
    n = 0

    def work(slice, attempt):
        nonlocal n
        n += 1
        if n <= 8:
            return REFUSED
        job.finish(slice, {})
        return "COMPLETED"

    assert drove(job, Workers(work)) == {}
    assert job.done() == {0, 1}


def test_a_backfill_that_every_machine_refuses_ends(planned):
    job, _ = planned
    lost = drove(job, Workers(lambda slice, attempt: REFUSED))
    assert lost == {0: "No machine takes it. as told", 1: "No machine takes it. as told"}


def test_refusals_do_not_end_a_backfill_that_somebody_works_on():
    judge = Judge(60, 3)
    living = Held(1, 7, False, {"host": "elsewhere", "attempt": 1})
    for attempt in range(1, 30):
        assert judge.decide(1, Run("r", 1, attempt, "FAILED", name=REFUSED), lambda: living) == "submit"
        assert judge.decide(0, Run("a", 0, 1, "RUNNING"), lambda: living) == "wait"
    assert judge.refusals == 0


def test_a_claim_that_the_last_try_left_behind_does_not_bury_the_next(monkeypatch):
    monkeypatch.setattr("tasks.lake.claims._died_here", lambda owner: True)
    judge = Judge(60, 3)
    assert judge.decide(0, Run("a", 0, 1, "RUNNING"), lambda: DEAD) == "bury"
    for state in ("PENDING", "RUNNING"):  # it is being started
        assert judge.decide(0, Run("b", 0, 2, state), lambda: DEAD) == "wait"


def test_a_pod_that_waits_for_its_machine_is_not_taken_for_dead():
    judge, nobody = Judge(0.2, 3), Held()
    waited = time.monotonic()
    while judge.decide(0, Run("a", 0, 1, "PENDING"), lambda: nobody) == "wait":
        time.sleep(0.05)
    assert time.monotonic() - waited >= 2.0
    waited = time.monotonic()
    while judge.decide(0, Run("a", 0, 1, "RUNNING"), lambda: nobody) == "wait":
        time.sleep(0.05)
    assert time.monotonic() - waited < 1.0


def test_a_slice_that_lost_videos_is_not_done(planned, monkeypatch):
    import flows.backfill as flow

    job, settings = planned

    def run(session):
        first, *_ = session.batches()
        session.settings = settings
        session.lost(replace_work(first, 2), DecoderDied("killed"))
        return session.report

    def replace_work(batch, n):
        batch.work = batch.work[:n]
        return batch

    monkeypatch.setattr(flow, "run", run)
    monkeypatch.setenv("NIGHTSCRIBE_SCRATCH", str(settings.scratch))
    with pytest.raises(RunStopped, match="2 videos got no row"):
        flow.backfill.fn(job.lake.uri, job.id, 0)
    assert job.done() == set()
    assert flow.backfill.fn(job.lake.uri, "another", 0).name == "Skipped", "called off"
    assert Notes(job.lake, "_claims").names() == [f"backfill-{job.id}"], "nothing is left of the other"


def test_a_machine_with_a_wrong_setting_refuses_and_says_no_secret(planned, monkeypatch):
    import flows.backfill as flow

    job, _ = planned
    monkeypatch.setattr(flow, "PAUSE_S", 0.1)
    monkeypatch.setenv("NIGHTSCRIBE_WEB_TOKEN", "short")
    refused = flow.backfill.fn(job.lake.uri, job.id, 0)
    assert refused.name == REFUSED
    assert "web_token" in refused.message
    assert "short'" not in refused.message


def test_a_report_counts_what_was_done_whatever_the_clocks_say(planned, result):
    job, settings = planned
    job.header["created_ms"] += 3_600_000  # by a clock that is an hour before those of the workers
    _, session = open_slice(job.lake, job.id, 0, settings)
    made = [result("hello", video_id=w.video_id, key=w.key, fingerprint=w.fingerprint) for w in session.work]
    bucket_id = job.header["bucket_id"]
    commit(job.lake, [replace(r, bucket=bucket_id) for r in made], run_id="slice", device="cpu")
    report = report_of(job, seconds=1, lost={})
    assert (report["indexed"], report["words"], report["left"]) == (3, 3, 1)
    assert report["failures"] == [
        {"key": "long.wav", "reason": "left", "error": "Nothing was written of it. The log of its slice says why."}
    ]
    assert open_slice(job.lake, job.id, 0, settings)[1].work == []


def test_what_went_from_the_bucket_since_the_plan_is_left_out(planned):
    job, settings = planned
    _, session = open_slice(job.lake, job.id, 0, settings)
    gone = next(item for item in session.work if item.key == "b.wav")
    commit(job.lake, session.pipeline.gone([gone]), run_id="night", device="cpu")
    assert [item.key for item in open_slice(job.lake, job.id, 0, settings)[1].work] == ["a.wav", "c.wav"]
    assert report_of(job, seconds=1, lost={})["gone"] == 1


def test_find_passes_over_plans_that_were_never_finished(planned):
    job, _ = planned
    Notes(job.lake, "_backfills/99990101-000000-abcd").put("begun", {})
    assert find(job.lake, job.header["bucket_id"]) == job


def test_a_process_that_was_taken_for_dead_stops(planned):
    job, _ = planned
    with claimed(job.lake, "night", silence_s=0.6) as claim:
        claim.still_ours([])
        Notes(job.lake, "_claims/night").create("00000002", {"owner": claim.owner, "beat": 1, "done": False})
        assert claim.lost.wait(5)
        with pytest.raises(RunStopped, match="took this one for dead"):
            claim.still_ours([])
