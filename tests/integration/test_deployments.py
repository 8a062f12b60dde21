"""The deployments of prefect.yaml on a real server, run by a real worker."""

from __future__ import annotations

import subprocess
import sys
import time

from conftest import REPO, command_environment
from search_server.syncs import differences, index_prefix, search_client, search_server, settings, syncer  # noqa: F401
from test_prefect_server import ask

from nightscribe.temporary_server import TemporaryServer


def test_a_worker_runs_the_deployment_that_syncs(lake, say, settings, syncer, tmp_path, monkeypatch):
    say("hello there")
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    with TemporaryServer() as server:
        server.wait()
        environment = command_environment(
            tmp_path,
            NIGHTSCRIBE_LAKE=lake.uri,
            NIGHTSCRIBE_ELASTICSEARCH_URL=settings.elasticsearch_url or "",
            NIGHTSCRIBE_ELASTICSEARCH_PREFIX=settings.elasticsearch_prefix,
            PREFECT_API_URL=server.url,
        )

        def prefect(*arguments: str) -> subprocess.CompletedProcess[str]:
            command = [sys.executable, "-m", "prefect", *arguments]
            done = subprocess.run(
                command, cwd=REPO, env=environment, capture_output=True, text=True, timeout=180, check=False
            )
            assert done.returncode == 0, done.stdout + done.stderr
            return done

        prefect("--no-prompt", "work-pool", "create", "nightscribe", "--type", "process")
        prefect("--no-prompt", "deploy", "--all")
        (deployed,) = ask(server.url, "/deployments/filter")
        assert (deployed["name"], deployed["entrypoint"]) == ("sync", "flows/sync.py:sync")
        assert [schedule["schedule"]["cron"] for schedule in deployed["schedules"]] == ["30 5 * * *"]
        prefect("deployment", "run", "sync/sync")
        prefect("worker", "start", "--pool", "nightscribe", "--run-once")
        runs = [run for run in ask(server.url, "/flow_runs/filter") if run["state"]["type"] != "SCHEDULED"]
        for _ in range(60):
            if runs and runs[0]["state"]["type"] == "COMPLETED":
                break
            time.sleep(0.5)
            runs = [run for run in ask(server.url, "/flow_runs/filter") if run["state"]["type"] != "SCHEDULED"]
        assert [run["state"]["type"] for run in runs] == ["COMPLETED"]
    assert differences(syncer) == []
