"""Slices handed out to a fleet that misbehaves, and what a slice and a report call done."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest
from sessions import session_on

from tasks.errors import DecoderDied, RunStopped
from tasks.lake.claims import ClaimState, claimed
from tasks.lake.commit import commit
from tasks.lake.notes import Notes
from tasks.runs.backfill.drive import REFUSED, WITHDRAWN, Judge, Pace, Run, drive
from tasks.runs.backfill.plan import cut
from tasks.runs.backfill.report import report_of
from tasks.runs.backfill.state import begin, find, open_slice

DEAD = ClaimState(1, 7, False, {"host": "", "pid": 1, "started": 0.0, "attempt": 1})


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

    def withdraw(self, run):
        self.found[run.slice] = replace(run, state="CANCELLED", name=WITHDRAWN)

    def call_off(self):
        return 0

    def open(self):
        return [run for run in self.found.values() if run.state in ("SCHEDULED", "RUNNING")]


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


@pytest.fixture
def many(planned, monkeypatch):
    """A backfill of six slices that nobody works on, and how one of them comes to be done."""
    job, _ = planned
    job.header["slices"] = [{"videos": 1, "bytes": 1, "media_s": 3600.0 * (n + 1)} for n in range(6)]
    monkeypatch.setattr("tasks.runs.backfill.drive.PATIENCE_AT_THE_END_S", 0.05)
    return job


def test_with_a_limit_slices_are_handed_out_as_others_are_done(many):
    fleet = Workers(lambda slice, attempt: "RUNNING")
    most, dead = 0, 2  # whose worker dies after the note was written, before its run ended

    def work(done, total, remark):
        nonlocal most
        most = max(most, sum(run.slice not in many.done() for run in fleet.open()))
        for run in fleet.open()[-2:]:
            if run.slice != dead:
                fleet.found[run.slice] = replace(run, state="COMPLETED")
            many.finish(run.slice, {})

    assert drove(many, fleet, at_once=2, show=work) == {}
    assert most == 2
    assert fleet.handed_out == [(n, 1) for n in range(6)]
    assert fleet.found[dead].state == "CRASHED", "or Prefect would show it as running for ever"


def test_a_lower_limit_takes_back_what_has_not_begun_and_costs_no_try(many):
    fleet = Workers()
    for n in range(6):
        fleet.submit(n, 1)
    fleet.found[4] = replace(fleet.found[4], state="RUNNING")

    def work(done, total, remark):
        if len(fleet.handed_out) == 6 and not [run for run in fleet.found.values() if run.state == "CANCELLED"]:
            return  # nothing was looked at yet
        assert len([run for run in fleet.open() if run.slice not in many.done()]) <= 2
        for run in fleet.open():
            fleet.found[run.slice] = replace(run, state="COMPLETED")
            many.finish(run.slice, {})

    assert drove(many, fleet, at_once=2, show=work) == {}
    assert fleet.handed_out[6:] == [(1, 2), (2, 2), (3, 2), (5, 2)], "the first had not to wait"
    judge = Judge(60, 1)
    for attempt in range(1, 5):
        assert judge.decide(0, Run("r", 0, attempt, "SCHEDULED"), ClaimState) == "wait"
        assert judge.decide(0, Run("r", 0, attempt, "CANCELLED", name=WITHDRAWN), ClaimState) == "submit"


def test_with_a_limit_the_next_slice_does_not_wait_for_the_next_look(many, monkeypatch):
    from tasks.runs.backfill import drive as module

    monkeypatch.setattr(module, "LOOK_S", 0.01)
    fleet = Workers()

    def submit(slice, attempt):
        fleet.found[slice] = Run(f"{slice}-{attempt}", slice, attempt, "COMPLETED")
        threading.Timer(0.05, many.finish, (slice, {})).start()

    monkeypatch.setattr(fleet, "submit", submit)
    began = time.monotonic()
    drive(many, fleet, silence_s=60, tries=3, poll_s=30, at_once=1)
    assert time.monotonic() - began < 20


def test_a_server_takes_a_run_back_and_hands_its_slice_out_again(prefect):
    from prefect.client.orchestration import get_client
    from prefect.settings import PREFECT_API_URL, temporary_settings

    from flows.fleet import POOL, PrefectFleet

    with temporary_settings({PREFECT_API_URL: prefect.url}), get_client(sync_client=True) as client:
        queue = client.read_work_queue_by_name("backfill", work_pool_name=POOL)
        client.update_work_queue(queue.id, concurrency_limit=1)
        fleet = PrefectFleet("lake", "of no lake")
        fleet.lift_limit()
        assert client.read_work_queue(queue.id).concurrency_limit is None
        fleet.submit(0, 1)
        fleet.withdraw(fleet.runs()[0])
        assert fleet.runs()[0].withdrawn
        fleet.submit(0, 2)
        assert (fleet.runs()[0].attempt, fleet.runs()[0].state) == (2, "SCHEDULED")
        fleet.bury(fleet.runs()[0], "dead")
        assert fleet.runs()[0].state == "CRASHED"


def test_what_is_called_off_leaves_no_dead_run_and_no_living_one_is_ended(many, monkeypatch):
    import flows.fleet
    from nightscribe.commands import backfill as command
    from tasks.settings import Settings

    monkeypatch.setattr("tasks.lake.claims._died_here", lambda owner: owner.get("pid") == 0)
    fleet = Workers(lambda slice, attempt: "RUNNING")
    for n in range(3):
        fleet.submit(n, 1)
    for n, pid in ((0, 0), (1, 1)):  # the second one's machine is away
        owner = {"host": "", "pid": pid, "started": 0.0, "attempt": 1}
        Notes(many.lake, f"_claims/{many.claim(n)}").put("00000001", {"owner": owner, "beat": 7, "done": False})
    monkeypatch.setattr(flows.fleet, "PrefectFleet", lambda lake, backfill: fleet)
    with claimed(many.lake, many.claim(2), silence_s=0.6, attempt=1):
        assert command._call_off(many, Settings(silence_s=1.5)) == 0
    assert [fleet.found[n].state for n in range(3)] == ["CRASHED", "CRASHED", "RUNNING"]
    assert find(many.lake, id=many.id) is None


def test_the_time_left_is_that_of_the_media_done_since_the_start(monkeypatch):
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    pace = Pace([{"videos": 0, "media_s": float(length)} for length in (9000, 100, 300, 600)])
    assert pace.left({0}, [1, 2, 3]) == "", "what an earlier call did tells nothing of the speed"
    now[0] += 60
    assert pace.left({0, 1}, [2, 3]) == ", 9 min left"
    now[0] += 60
    assert pace.left({0, 1}, [2, 3]) == ", 8 min left"
    assert pace.left({0, 1}, []) == ""


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
    living = ClaimState(1, 7, False, {"host": "elsewhere", "attempt": 1})
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
    judge, nobody = Judge(0.2, 3), ClaimState()
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
        session.give_up(replace_work(first, 2), DecoderDied("killed"))
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
