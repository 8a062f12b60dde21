"""A backfill over a bucket and a lake on S3, by two workers with scratch space of their own, and a night beside it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from prefect_server import PrefectServer, kill
from s3_server import s3, s3_environment  # noqa: F401
from test_backfill import clips

from tasks.lake.check import check
from tasks.lake.notes import Notes
from tasks.lake.store import Lake
from tasks.lake.views import connect
from tasks.runs.backfill.state import Backfill, find

pytestmark = [
    pytest.mark.long,  # as the backfill of local files, with more to import
    # moto and botocore leave sockets to the garbage collector
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def test_workers_that_share_nothing_but_the_store_share_a_backfill_and_a_night_goes_first(prefect, s3, tmp_path):
    every = sorted(clips(tmp_path / "clips", 14).iterdir())

    def upload(paths: list[Path]) -> None:
        for path in paths:
            s3.upload_file(str(path), "archive", f"talks/{path.name}")

    upload(every[:12])
    lake = Lake("s3://lake/here")
    own = {
        **s3_environment(s3.meta.endpoint_url),
        "NIGHTSCRIBE_LAKE": lake.uri,
        "NIGHTSCRIBE_BUCKET": "s3://archive/talks",
        "NIGHTSCRIBE_SILENCE_S": "20",
    }
    arguments = ("backfill", "s3://archive/talks", "--yes", "--slice-hours", "0.0012", "--json")
    command = prefect.begin("shared", *arguments, **own)
    limit = time.monotonic() + 120
    while not (job := under_way(lake)) or len(slices_of(prefect, job.id)) < len(job.slices):
        assert time.monotonic() < limit, prefect.log("shared")
        time.sleep(0.5)
    upload(every[12:])  # came after the plan was made
    night = prefect.start_run("nightly")
    twice = prefect.start_run("backfill", lake=lake.uri, backfill=job.id, slice=0)  # as the command did

    workers = [prefect.worker(name, "--limit", "1", **own) for name in ("store-one", "store-two")]
    ended = command.wait(600)
    states = [prefect.wait_for(run, "COMPLETED", "FAILED", "CRASHED")["name"] for run in (night, twice)]
    for worker in workers:
        kill(worker)
    said = [
        (prefect.folder / f"{name}.log").read_text(errors="replace") for name in ("shared", "store-one", "store-two")
    ]
    assert ended == 0, said
    assert states[0] == "Completed", said
    assert states[1] in ("Completed", "Skipped"), "whichever run of the slice came first"
    runs = slices_of(prefect, job.id)
    assert sorted(run["state"]["name"] for run in runs) == ["Completed"] * len(job.slices) + ["Skipped"], said
    (first,) = [run for run in prefect.flow_runs("nightly") if run["id"] == night]
    assert all(first["start_time"] <= run["start_time"] for run in runs[1:]), "one of two workers takes the night first"

    report = json.loads((prefect.folder / "shared.out").read_text())
    assert report["slices"]["done"] == report["slices"]["planned"] >= 3
    assert (report["videos"], report["failed"], report["left"]) == (12, 0, 0)
    assert any("videos are left to the backfill" in text for text in said)
    rows = "SELECT count(*), count(DISTINCT key) FROM videos_all"
    assert connect(lake).execute(rows).fetchone() == (14, 14)
    assert check(lake) == []
    for name, text in zip(("store-one", "store-two"), said[1:], strict=True):
        assert "Finished in state Completed" in text, name
        scratch = prefect.folder / f"scratch-{name}"
        assert [path.name for path in scratch.iterdir() if path.suffix != ".lock"] == []


def under_way(lake: Lake) -> Backfill | None:
    names = Notes(lake, "_backfills").names() if lake.exists() else []
    return find(lake, id=names[0]) if names else None


def slices_of(prefect: PrefectServer, backfill: str) -> list[dict[str, Any]]:
    """The runs of a backfill's slices, the earliest first."""
    wanted = {"deployments": {"name": {"any_": ["backfill"]}}, "limit": 200}
    runs = [run for run in prefect.ask("/flow_runs/filter", wanted) if run["parameters"]["backfill"] == backfill]
    return sorted(runs, key=lambda run: run["start_time"] or "")
