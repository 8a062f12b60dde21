"""A run reports to the Prefect server that is set, and a temporary one ends with its run however that ends."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from conftest import BUCKET, command_environment
from prefect_server import ask

from nightscribe.prefect_env import profile_url
from nightscribe.temporary_server import TemporaryServer, answers
from tasks.errors import OrchestrationUnavailable


@pytest.fixture
def environment(tmp_path, monkeypatch) -> dict[str, str]:
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    return command_environment(tmp_path, PREFECT_API_URL=None)


def test_the_server_of_the_profile_gets_the_run_its_tasks_and_the_report(environment):
    with TemporaryServer() as server:
        server.wait()
        Path(environment["PREFECT_HOME"], "profiles.toml").write_text(
            f'active = "work"\n[profiles.work]\nPREFECT_API_URL = "{server.url}"\n'
        )
        command = [sys.executable, "-m", "nightscribe", "index", str(BUCKET / "unsorted"), "--json"]
        done = subprocess.run(
            command,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "temporary" not in done.stderr
        runs = ask(server.url, "/flow_runs/filter")
        assert [run["state"]["type"] for run in runs] == ["COMPLETED"]
        tasks = {run["name"].split()[0] for run in ask(server.url, "/task_runs/filter")}
        assert tasks >= {"prepare", "emissions", "finish", "commit"}
        artifacts = ask(server.url, "/artifacts/filter")
        assert "1 indexed" in artifacts[0]["data"]
    assert not answers(server.url, timeout=1)


def test_the_temporary_server_ends_when_its_parent_is_killed(environment):
    code = (
        "import time\nfrom nightscribe.temporary_server import TemporaryServer\n"
        "s = TemporaryServer().__enter__()\ns.wait()\nprint(s.url, flush=True)\ntime.sleep(600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    url = parent.stdout.readline().strip()
    assert answers(url)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    limit = time.monotonic() + 20
    while answers(url, timeout=1) and time.monotonic() < limit:
        time.sleep(0.2)
    assert not answers(url, timeout=1)


@pytest.mark.long
def test_servers_that_start_at_the_same_moment_make_the_database_once(environment):
    Path(environment["PREFECT_HOME"], "prefect.db").unlink()
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(TemporaryServer()) for _ in range(2)]
        for server in servers:
            server.wait()
        assert all(answers(server.url) for server in servers)
    assert len({server.url for server in servers}) == 2


@pytest.mark.long
def test_a_server_that_cannot_start_is_a_sentence_and_nothing_is_begun(tmp_path, environment):
    (tmp_path / "a-file").write_text("not a folder")
    done = subprocess.run(
        [sys.executable, "-m", "nightscribe", "index", str(BUCKET / "unsorted"), "--json"],
        env={**environment, "PREFECT_HOME": str(tmp_path / "a-file")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 1
    error = json.loads(done.stdout)["error"]
    assert error["code"] == "orchestration_unavailable"
    assert "a-file" in error["message"]
    assert "PREFECT_API_URL" in error["next"]
    assert "Traceback" not in done.stderr


def test_why_a_server_did_not_start_is_said_once(tmp_path, monkeypatch, caplog):
    program = tmp_path / "program"
    program.write_text(
        "#!/bin/sh\necho a long story >&2\necho the disk is full >&2\necho '(Background on this error at: x)' >&2\nexit 3\n"
    )
    program.chmod(0o755)
    monkeypatch.setattr("nightscribe.temporary_server.sys.executable", str(program))
    with (
        pytest.raises(OrchestrationUnavailable, match=r"did not start \(the disk is full\); nothing"),
        TemporaryServer() as server,
    ):
        server.wait()
    assert caplog.messages == []


def test_the_address_in_prefects_active_profile_counts(tmp_path, monkeypatch):
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path))
    monkeypatch.delenv("PREFECT_PROFILE", raising=False)
    assert profile_url() is None
    (tmp_path / "profiles.toml").write_text(
        'active = "work"\n[profiles.work]\nPREFECT_API_URL = "http://127.0.0.1:4200/api"\n'
    )
    assert profile_url() == "http://127.0.0.1:4200/api"
    monkeypatch.setenv("PREFECT_PROFILE", "other")
    assert profile_url() is None


def test_a_server_that_is_busy_is_waited_for(environment):
    """One that had workers to serve on a loaded machine took longer than five seconds to say that it was there."""

    class Busy(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            time.sleep(6)
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Busy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/api"
        assert answers(url)
        assert not answers(url, timeout=0.2)
        server.shutdown()
    started = time.monotonic()
    assert not answers(url)
    assert time.monotonic() - started < 1, "nobody waits for a server that is not there"
