"""A Prefect server that goes away: a temporary one is started again, and of a set one a run loses its record and no more."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import httpx
import psutil
import pytest
from conftest import BUCKET, command_environment
from prefect.client.orchestration import SyncPrefectClient
from prefect_server import ask

from flows.index import await_batch, flow_of, run_session
from flows.server import is_away
from nightscribe.temporary_server import START_S, TemporaryServer, answers
from tasks.errors import OrchestrationUnavailable, RunStopped
from tasks.lake.store import Lake
from tasks.lake.views import connect


@pytest.fixture
def environment(tmp_path, monkeypatch) -> dict[str, str]:
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    return command_environment(tmp_path, PREFECT_API_URL=None)


def until(holds: Callable[[], object], seconds: float = 60) -> None:
    limit = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < limit
        time.sleep(0.1)


@pytest.mark.long
def test_a_server_that_dies_is_started_again_and_who_asked_meanwhile_is_answered(environment, caplog):
    with TemporaryServer() as server:
        server.wait()
        for _ in range(2):
            server._process.kill()
            assert answers(server.url, timeout=START_S), "the question waits for the next server"
    ended = [line for line in caplog.messages if "ended by itself" in line]
    assert len(ended) == 2
    assert all(line.endswith("ended by itself (Killed); it is started again.") for line in ended)
    assert not answers(server.url, timeout=1)


@pytest.mark.long
def test_a_server_that_dies_again_and_again_is_given_up(environment, monkeypatch, caplog):
    monkeypatch.setattr("nightscribe.temporary_server.RESTARTS", 1)
    with TemporaryServer() as server:
        server.wait()
        server._process.kill()
        assert answers(server.url, timeout=START_S)
        server._process.kill()
        server._keeper.join(timeout=20)
        started = time.monotonic()
        assert not answers(server.url), "nothing listens there any more"
        assert time.monotonic() - started < 1
    assert [line.rsplit("; ", 1)[1] for line in caplog.messages] == ["it is started again.", "it is not started again."]


def test_a_server_that_cannot_be_started_again_is_given_up(environment, monkeypatch, caplog):
    with TemporaryServer() as server:
        server.wait()
        monkeypatch.setattr(server, "_start", Mock(side_effect=BlockingIOError("no more processes")))
        server._process.kill()
        server._keeper.join(timeout=20)
        assert not answers(server.url)
    assert caplog.messages[-1] == "Prefect's temporary server cannot be started again: no more processes"


@contextlib.contextmanager
def indexing(environment: dict[str, str], log: Path, **more: str) -> Iterator[subprocess.Popen[str]]:
    """`index` of a few videos, with what it says on stderr in `log`."""
    with log.open("w") as said:
        run = subprocess.Popen(
            [sys.executable, "-m", "nightscribe", "index", str(BUCKET / "unsorted"), "--json"],
            env={**environment, **more},
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
        )
    try:
        yield run
    finally:
        run.kill()
        run.wait()


def is_running(url: str) -> bool:
    return [run["state"]["type"] for run in ask(url, "/flow_runs/filter")] == ["RUNNING"]


@pytest.mark.long
def test_a_run_survives_the_death_of_its_temporary_server(environment, tmp_path):
    log = tmp_path / "log"
    with indexing(environment, log) as run:
        until(lambda: "to do" in log.read_text())
        [server] = [p for p in psutil.Process(run.pid).children() if "nightscribe.temporary_server" in p.cmdline()]
        [listener] = [c for c in server.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
        until(lambda: is_running(f"http://127.0.0.1:{listener.laddr.port}/api"))
        server.kill()
        out, _ = run.communicate(timeout=300)
    err = log.read_text()
    assert run.returncode == 0, err
    assert json.loads(out)["indexed"] == 1
    assert err.count("it is started again") == 1
    assert "Traceback" not in err
    with TemporaryServer() as after:
        after.wait()
        assert [run["state"]["type"] for run in ask(after.url, "/flow_runs/filter")] == ["COMPLETED"]


@pytest.mark.long
def test_a_server_that_goes_away_in_the_middle_costs_its_record_of_the_run_and_nothing_else(
    environment, tmp_path, monkeypatch
):
    monkeypatch.setattr("nightscribe.temporary_server.RESTARTS", 0)
    log = tmp_path / "log"
    with TemporaryServer() as server:
        server.wait()
        with indexing(environment, log, PREFECT_API_URL=server.url, PREFECT_CLIENT_MAX_RETRIES="1") as run:
            until(lambda: list(Path(environment["NIGHTSCRIBE_SCRATCH"]).rglob("*.pcm")))
            server._process.kill()
            out, _ = run.communicate(timeout=300)
    err = log.read_text()
    assert run.returncode == 0, err
    assert json.loads(out)["indexed"] == 1
    todo, done, no_report, gone = err.splitlines()  # nobody else complains
    assert "to do" in todo
    assert "done" in done
    assert no_report.startswith("Prefect did not take the report of this run: ")
    assert gone.startswith("The Prefect server went away (")
    assert gone.endswith("). The run had come to its end; the server was not told.")
    kept = connect(Lake(environment["NIGHTSCRIBE_LAKE"]))
    assert kept.execute("SELECT outcome FROM runs").fetchall() == [("done",)]


class Sick(BaseHTTPRequestHandler):
    """Says that it is well, and can do nothing."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path.endswith("/health") else 503)
        self.end_headers()

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:
        return


def test_a_server_that_can_take_no_run_is_a_sentence(environment, tmp_path):
    with ThreadingHTTPServer(("127.0.0.1", 0), Sick) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/api"
        with indexing(environment, tmp_path / "log", PREFECT_API_URL=url, PREFECT_CLIENT_MAX_RETRIES="0") as run:
            out, _ = run.communicate(timeout=120)
        server.shutdown()
    assert run.returncode == 1
    error = json.loads(out)["error"]
    assert error["code"] == "orchestration_unavailable"
    assert error["message"].endswith("0 videos of this run are in the lake.")
    assert "same command" in error["next"]
    assert "Traceback" not in (tmp_path / "log").read_text()


GONE = httpx.ConnectError("All connection attempts failed")


def session_that(failure: BaseException | None = None, outcome: str | None = None) -> Any:
    report = Mock(done=Counter(indexed=3, failed=1))
    report.as_json.return_value = {"indexed": 3}
    return SimpleNamespace(report=report, failure=failure, outcome=outcome)


@pytest.fixture
def gone(monkeypatch) -> None:
    """Whatever ends a run, Prefect cannot tell its server."""
    monkeypatch.setattr("flows.index.flow_of", Mock(return_value=Mock(side_effect=GONE)))


def test_of_a_server_that_goes_away_before_the_end_is_said_what_is_kept(gone):
    with pytest.raises(OrchestrationUnavailable, match=r"went away .*attempts failed.* 4 videos"):
        run_session(session_that(), "a bucket")


def test_a_run_that_came_to_its_end_is_done_also_for_a_night(gone):
    assert run_session(session_that(outcome="done"), "a bucket") == {"indexed": 3}


def test_a_server_that_goes_away_before_the_first_step_is_no_fault_of_the_videos():
    """The first step that a process makes asks the server; no batch is given up for that, nor made anew."""
    session = session_that()
    session.apart = session.lost = Mock(side_effect=AssertionError)
    with pytest.raises(OrchestrationUnavailable, match=r"attempts failed.* 4 videos"):
        await_batch(session, Mock(), (Mock(result=Mock(side_effect=GONE)),))


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), RunStopped("3 batches in a row were given up")])
def test_what_broke_a_run_off_is_said_rather_than_that_the_server_was_not_told(gone, failure):
    with pytest.raises(type(failure)) as caught:
        run_session(session_that(failure, "failed"), "a bucket")
    assert caught.value is failure


@pytest.mark.parametrize(
    ("error", "away"),
    [
        (GONE, True),
        (httpx.ReadTimeout("slow"), True),
        (httpx.HTTPStatusError("", request=Mock(), response=httpx.Response(503)), True),
        (httpx.HTTPStatusError("", request=Mock(), response=httpx.Response(404)), False),
        (RuntimeError("a fault of ours"), False),
    ],
    ids=["refused", "slow", "503", "404", "ours"],
)
def test_which_errors_say_that_the_server_is_away(error, away):
    assert is_away(error) == away


def test_a_first_question_that_gets_no_answer_says_that_the_server_is_away():
    with SyncPrefectClient("http://127.0.0.1:9/api") as client, pytest.raises(RuntimeError) as caught:
        client.raise_for_api_version_mismatch()
    assert is_away(caught.value)


def test_two_sessions_on_one_bucket_are_each_run_as_themselves(monkeypatch):
    """They stood in a dictionary by the name of their bucket."""
    monkeypatch.setattr("flows.index.reported", lambda session: {"session": session})
    first, second = session_that(), session_that()
    flows = [flow_of(first), flow_of(second)]
    assert [flow.fn("a bucket")["session"] for flow in flows] == [first, second]
    assert {flow.name for flow in flows} == {"index"}
