"""Three nights in a row, as the deployment runs them: each does what came since the last one, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from prefect.states import State
from prefect.testing.utilities import prefect_test_harness
from sessions import cut, session_on

from flows.nightly import nightly
from tasks.errors import Misconfigured
from tasks.lake.claims import claimed
from tasks.lake.store import Lake
from tasks.lake.views import connect
from tasks.runs.backfill.plan import cut as cut_into
from tasks.runs.backfill.state import begin
from tasks.runs.session import Session, open_session


@pytest.fixture(scope="module", autouse=True)
def harness():
    with prefect_test_harness(server_startup_timeout=120):
        yield


@pytest.fixture
def nights(bucket, tmp_path, monkeypatch):
    for name, value in {
        "BUCKET": bucket,
        "LAKE": tmp_path / "lake",
        "SCRATCH": tmp_path / "scratch",
        "SILENCE_S": "2",
    }.items():
        monkeypatch.setenv(f"NIGHTSCRIBE_{name}", str(value))
    return bucket, Lake(str(tmp_path / "lake"))


def counts(report: dict) -> dict[str, int]:
    names = ("new", "changed", "metadata", "gone", "unchanged", "indexed", "failed")
    return {name: report[name] for name in names if report[name]}


def generations(lake: Lake) -> dict[str, int]:
    return dict(connect(lake).execute("SELECT key, count(*) FROM videos_all GROUP BY key").fetchall())


def test_each_night_does_only_its_own_work(nights):
    bucket, lake = nights
    assert counts(nightly()) == {"new": 4, "indexed": 4}
    assert counts(nightly()) == {"unchanged": 4}

    cut(bucket / "d.wav", 5)  # new
    cut(bucket / "a.wav", 6)  # changed
    (bucket / "c.wav").unlink()  # removed
    (bucket / "b.json").write_text('{"title": "A title"}')
    assert counts(nightly()) == {"new": 1, "changed": 1, "metadata": 1, "gone": 1, "unchanged": 1, "indexed": 3}
    assert generations(lake) == {"a.wav": 2, "b.wav": 2, "c.wav": 2, "d.wav": 1, "long.wav": 1}
    assert connect(lake).execute("SELECT key FROM videos WHERE status = 'gone'").fetchall() == [("c.wav",)]

    cut(bucket / "c.wav", 3)  # back again
    assert counts(nightly()) == {"new": 1, "indexed": 1, "unchanged": 4}
    assert counts(nightly()) == {"unchanged": 5}
    assert generations(lake) == {"a.wav": 2, "b.wav": 2, "c.wav": 3, "d.wav": 1, "long.wav": 1}

    # A night that finds the one before at work is skipped.
    (name,) = [path.name for path in (bucket.parent / "lake" / "_claims").iterdir()]
    with claimed(lake, name, silence_s=2):
        state = nightly(return_state=True)
    assert isinstance(state, State)
    assert (state.type.value, state.name) == ("COMPLETED", "Skipped")


@pytest.mark.long
def test_a_night_leaves_to_a_backfill_what_that_has_yet_to_do(nights, tmp_path, monkeypatch):
    """It would do the whole archive else, alone and in its own order, while the slices step back for it."""
    bucket, lake = nights
    with session_on(str(bucket), tmp_path) as session:
        slices = cut_into(session.work, [4.0, 4.0, 4.0, 36.0], hours=26 / 3600)
        job = begin(session, slices, options={"retry_failed": False, "refresh": False}, estimate={})
    assert counts(nightly()) == {"new": 4}
    assert generations(lake) == {}

    cut(bucket / "d.wav", 5)  # came since the plan was made
    cut(bucket / "a.wav", 6)  # is not what the plan saw
    assert counts(nightly()) == {"new": 5, "indexed": 2}
    assert generations(lake) == {"a.wav": 1, "d.wav": 1}

    def while_a_slice_ends(*given: Any, **named: Any) -> Session:
        session = open_session(*given, **named)
        job.finish(0, {})
        return session

    with monkeypatch.context() as patch:
        patch.setattr("flows.nightly.open_session", while_a_slice_ends)
        assert counts(nightly()) == {"new": 3, "unchanged": 2}

    # What a slice that is done has left is the next night's again.
    assert counts(nightly()) == {"new": 3, "unchanged": 2, "indexed": 2}
    job.clear()
    assert counts(nightly()) == {"new": 1, "unchanged": 4, "indexed": 1}


def test_nights_without_a_bucket_say_what_to_set(tmp_path, monkeypatch):
    monkeypatch.delenv("NIGHTSCRIBE_BUCKET", raising=False)
    monkeypatch.setenv("NIGHTSCRIBE_LAKE", str(tmp_path / "lake"))
    with pytest.raises(Misconfigured, match="No bucket"):
        nightly()
