"""What machine time was spent and what it cost, and what work to come will cost, from runs whose figures are known."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from conftest import made_by
from pydantic import ValidationError

from tasks.lake.commit import commit
from tasks.lake.views import connect
from tasks.records import VideoTask
from tasks.runs.backfill.plan import lengths
from tasks.runs.costs import estimate, ledger, media_hours, price_of, rates
from tasks.runs.plan import Plan, make_plan
from tasks.runs.report import RunReport
from tasks.settings import Settings
from tasks.stages.registry import STAGES

GPU = "NVIDIA H100 80GB HBM3"
HOUR_MS = 3_600_000


@pytest.fixture
def ran(lake):
    """Writes the row of a run: hours of media heard in so many seconds."""
    number = iter(range(1000))

    def put(hours: float, total_s: float, *, device="cpu", hardware="EPYC", recipe="a/d", **more) -> None:
        n = next(number)
        report = {"media_ms": round(hours * HOUR_MS), "indexed": 1, "seconds": {"model": total_s / 2, "total": total_s}}
        report |= {"device": device, "hardware": hardware, "recipe": recipe, **more}
        row = {
            "run_id": str(n),
            "command": "index",
            "started_at": datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=n),
            "report_json": json.dumps(report),
        }
        lake.append("runs", [row], batch_id=str(n))

    return put


def test_the_price_of_a_device_is_the_first_that_fits():
    settings = Settings(prices={"*h100*": 3.0, "cuda": 1.0, "cpu": 0.1}, price_machine_hour=9.0)
    assert price_of(settings, "cuda:1", GPU) == 3.0
    assert price_of(settings, "cuda:1", "Tesla T4") == 1.0
    assert price_of(settings, "cpu", "EPYC, 2 cores") == 0.1
    assert price_of(settings, "mps") == 9.0


def test_the_ledger_adds_up_by_device(lake, ran):
    ran(2.0, 720)
    ran(1.0, 360)
    ran(10.0, 360, device="cuda:0", hardware=GPU, recipe="b/d")
    found = ledger(connect(lake), Settings(prices={"cuda": 4.0, "cpu": 0.5}))
    # cpu: 3 h of media in 0.3 h of machine at 0.5; cuda: 10 h in 0.1 h at 4
    assert found["cost"] == pytest.approx(0.15 + 0.40)
    assert found["cost_per_media_hour"] == pytest.approx(0.55 / 13, abs=1e-6)
    cuda, cpu = found["devices"]
    assert (cuda["hardware"], cuda["media_hours"], cuda["cost_per_media_hour"]) == (GPU, 10.0, 0.04)
    assert (cpu["runs"], cpu["machine_hours"], cpu["cost_per_media_hour"]) == (2, 0.3, 0.05)
    none = dict.fromkeys(("fetch", "audio", *STAGES.names), 0)
    assert cpu["seconds_per_media_hour"] == none | {"emissions": 180.0, "total": 360.0}
    assert ledger(connect(lake), Settings())["cost_per_media_hour"] is None, "without prices there is no cost"


def test_words_that_were_taken_over_make_no_hour_cheaper(lake, ran):
    ran(2.0, 720, taken_over_ms=HOUR_MS)
    (cpu,) = ledger(connect(lake), Settings())["devices"]
    assert cpu["media_hours"] == 1.0


def test_only_media_that_was_listened_to_makes_a_rate(lake, ran, result):
    """Neither new cues, topics or titles of an hour nor an hour that failed makes another hour cheaper."""
    report = RunReport("r", lake.uri, "file:///bucket", datetime.now(UTC))
    hour = replace(result("words"), duration_ms=HOUR_MS)
    report.add([hour, replace(hour, work=replace(hour.work, why="stale"))])
    for why, made in (
        ("metadata", {"stages": ("topics",)}),
        ("stale", {"stages": ("cues",)}),
        ("new", {"source_id": "a"}),
    ):
        report.add([replace(hour, work=replace(hour.work, why=why, **made))])
    report.add([replace(hour, status="failed", reason="too_long")])
    assert (report.media_ms, report.heard_ms, report.taken_over) == (6 * HOUR_MS, 2 * HOUR_MS, 1)
    report.price_hour, report.seconds["total"] = 1.0, 3600.0
    assert report.as_json()["cost_per_media_hour"] == 0.5
    ran(6.0, 720, heard_ms=2 * HOUR_MS)
    ran(1000.0, 3600, heard_ms=0)  # titles of a whole archive
    assert ledger(connect(lake), Settings())["devices"][0]["media_hours"] == 2.0
    assert estimate(connect(lake), Settings(), media_hours=100, recipe="a/d").machine_hours == 10.0


def test_runs_that_heard_nothing_do_not_hide_those_that_did(lake, ran, monkeypatch):
    monkeypatch.setattr("tasks.runs.costs.RUNS_JUDGED", 2)
    ran(2.0, 720)
    for _ in range(5):
        ran(0.0, 3)
    (rate,) = rates(connect(lake), Settings(), newest=2, heard=True)
    assert (rate.runs, rate.media_s) == (1, 7200.0)
    assert rates(connect(lake), Settings(), newest=2)[0].media_s == 0


def test_hours_without_a_price_make_no_hour_cheaper(lake, ran):
    ran(2.0, 3600)
    ran(10.0, 3600, device="cuda:0", hardware=GPU)
    assert ledger(connect(lake), Settings(prices={"cpu": 1.0}))["cost_per_media_hour"] == 0.5


def test_a_price_without_an_end_is_refused():
    for name in ("prices", "price_machine_hour"):
        with pytest.raises(ValidationError):
            Settings(**{name: {"cpu": float("inf")} if name == "prices" else float("inf")})


def test_an_estimate_goes_by_runs_with_the_same_models(lake, ran):
    ran(2.0, 720)  # 10 times real time
    ran(20.0, 3600, recipe="other/d")  # 20 times
    made = estimate(connect(lake), Settings(prices={"cpu": 0.5}), media_hours=100, recipe="a/d")
    assert (made.machine_hours, made.cost, made.measured) == (10.0, 5.0, True)
    assert "10.0 times real time, as 1 run of this lake with 2.00 hours" in made.assumptions[0]
    unknown = estimate(connect(lake), Settings(), media_hours=22, recipe="new/d")
    assert unknown.machine_hours == pytest.approx(1.2)
    assert "with other models or settings" in unknown.assumptions[0]
    assert unknown.cost is None


def test_an_estimate_for_a_device_goes_by_that_device(lake, ran):
    ran(2.0, 720)
    ran(10.0, 360, device="cuda:0", hardware=GPU)
    settings = Settings(prices={"cuda": 4.0})
    assert estimate(connect(lake), settings, media_hours=100, recipe="a/d").device == "cuda:0"
    assert estimate(connect(lake), settings, media_hours=100, device="cpu").machine_hours == 10.0
    assert estimate(connect(lake), settings, media_hours=100, device="*h100*").cost == 4.0


def test_without_a_run_an_estimate_says_that_it_guesses(lake, ran):
    assert not estimate(None, Settings(), media_hours=10).measured
    ran(0.001, 30)  # 3.6 s of media: nothing but the start of a run
    made = estimate(connect(lake), Settings(), media_hours=10)
    assert (made.machine_hours, made.measured) == (1.0, False)
    assert "a guess" in made.assumptions[0]


def test_media_hours_go_by_extension(lake, say):
    say("one two three")  # talk.mp4: 1 byte, 1.1 s
    hours, how = media_hours(connect(lake), [("new/other.MP4", 3600), ("no extension", 3600)])
    assert hours == pytest.approx(2.2)
    assert how.startswith("Length: by size, as in this lake: 1 videos")
    assert media_hours(None, [("a.mp4", 2_000_000_000)]) == (
        2.0,
        "Length: 1 GB an hour, as this lake has no video yet.",
    )


def planned(lake, *due: VideoTask) -> Plan:
    """Of a session that has this to do, over a bucket elsewhere."""
    session = SimpleNamespace(
        work=list(due), scan=SimpleNamespace(gone=[], stale=0), lake=lake, settings=Settings(lake=lake.uri),
        recipes=made_by(), bucket=SimpleNamespace(local=False),
    )  # fmt: skip
    return make_plan(session)


def test_a_stage_that_is_added_is_planned_by_what_it_reads(lake, result):
    """A plan of frames for videos whose words are there: bytes and hours are those of the media that are read again."""
    talks = [result("one two three", key=f"{n}.mp4", video_id=f"{n:020}") for n in range(2)]
    talks = [replace(talk, duration_ms=HOUR_MS) for talk in talks]
    commit(lake, talks, run_id="r", device="cpu")
    work = [
        VideoTask(f"{n:020}", f"{n}.mp4", 5_000_000, "1-1", None, None, None, "missing", ("frames", "sounds"))
        for n in range(2)
    ]
    topics = VideoTask(
        f"{0:020}", "0.mp4", 5_000_000, "1-1", None, None, None, "stale", ("topics",), reads_object=False
    )

    plan = planned(lake, *work, topics)
    assert (plan.bytes, plan.media_hours, plan.machine_hours) == (10_000_000, 2.0, 0.0)
    assert plan.unmeasured == ["frames", "sounds"], "whether or not anything was ever run"
    assert (
        "3 files, 10 MB to be read, about 2 h of media: about 0 s of a machine. Not in it: frames, sounds, "
        in plan.text()
    )
    assert "Length: as the lake has it." in plan.text()
    nothing = planned(lake, topics)
    assert (nothing.bytes, nothing.media_hours) == (0, 0.0)
    new = planned(lake, replace(work[0], video_id="9" * 20, why="new", stages=STAGES.names))
    assert new.unmeasured == []
    assert "a guess until this lake has seen a run" in new.text()


def test_slices_go_by_the_length_of_what_is_read_for_any_stage(lake):
    read = VideoTask("a" * 20, "a.mp4", 5_000_000, "1-1", None, None, None, "missing", ("frames",))
    made_of_words = replace(read, video_id="b" * 20, stages=("topics",), reads_object=False)
    assert lengths([read, made_of_words], 2.0, None) == [pytest.approx(7200), 0.0]


def test_what_no_run_has_measured_is_in_no_sum_and_said(lake, result, ran):
    commit(lake, [result("one two three")], run_id="r", device="cpu")
    ran(1.0, 360.0)
    work = [VideoTask("0" * 20, "talk.mp4", 300_000_000, "1-1", None, None, None, "missing", ("frames", "sounds"))]
    plan = planned(lake, *work)
    assert plan.unmeasured == ["frames", "sounds"]
    assert "300 MB to be read" in plan.text()
    assert " Not in it: frames, sounds, until a run has measured that." in plan.text()
    new = planned(lake, replace(work[0], video_id="9" * 20, why="new", stages=STAGES.names))
    assert new.machine_hours > 0
    assert new.unmeasured == ["frames", "sounds", "sound_events", "screen_lines", "screen"], (
        "beside what runs have told"
    )
