"""A backfill over a bucket and a lake on S3, by two workers with scratch space of their own."""

from __future__ import annotations

import json

import pytest
from prefect_server import kill
from s3_server import s3, s3_environment  # noqa: F401
from test_backfill import clips

from tasks.lake.maintain import check
from tasks.lake.store import Lake
from tasks.lake.views import connect

pytestmark = [
    # moto and botocore leave sockets to the garbage collector
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def test_workers_that_share_nothing_but_the_store_share_a_backfill(prefect, s3, tmp_path):
    for path in sorted(clips(tmp_path / "clips", 16).iterdir()):
        s3.upload_file(str(path), "archive", f"talks/{path.name}")
    lake = Lake("s3://lake/here")
    own = {**s3_environment(s3.meta.endpoint_url), "NIGHTSCRIBE_LAKE": lake.uri, "NIGHTSCRIBE_SILENCE_S": "20"}
    workers = [prefect.worker(name, "--limit", "1", **own) for name in ("store-one", "store-two")]
    done = prefect.command("backfill", "s3://archive/talks", "--yes", "--slice-hours", "0.0012", "--json", **own)
    for worker in workers:
        kill(worker)
    assert done.returncode == 0, (done.stderr, prefect.log("store-one"), prefect.log("store-two"))
    report = json.loads(done.stdout)
    assert report["slices"]["done"] == report["slices"]["planned"] >= 3
    assert (report["videos"], report["failed"], report["left"]) == (16, 0, 0)
    rows = "SELECT count(*), count(DISTINCT key) FROM videos_all"
    assert connect(lake).execute(rows).fetchone() == (16, 16)
    assert check(lake) == []
    for name in ("store-one", "store-two"):
        assert "Finished in state Completed" in (prefect.folder / f"{name}.log").read_text(errors="replace"), name
        scratch = prefect.folder / f"scratch-{name}"
        assert [path.name for path in scratch.iterdir() if path.suffix != ".lock"] == []
