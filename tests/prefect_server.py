"""A whole Prefect server for tests, as `prefect server start` makes one, that can be killed and started again; workers."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
from conftest import REPO, command_environment, prefect_tables

from nightscribe.temporary_server import answers

QUICK = {
    "PREFECT_WORKER_QUERY_SECONDS": "1",
    "PREFECT_WORKER_PREFETCH_SECONDS": "1",
    "PREFECT_WORKER_HEARTBEAT_SECONDS": "5",
    "PREFECT_CLIENT_ENABLE_METRICS": "false",
}


def ask(url: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """What a Prefect server answers to a POST."""
    request = urllib.request.Request(
        f"{url}{path}", data=json.dumps(body or {}).encode(), headers={"Content-Type": "application/json"}
    )
    for tries in range(10):
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                text = answer.read()
            return json.loads(text) if text else None
        except urllib.error.HTTPError as error:  # a busy database says 503
            if error.code != 503 or tries == 9:
                raise
            time.sleep(1)
    raise AssertionError("unreachable")


class PrefectServer:
    """One on a port and a database of its own; the same ones after `restart`."""

    def __init__(self, folder: Path, **more: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/api"
        self.folder = folder
        # PYTHONPATH: this checkout's code, also where another one is installed.
        path = {"PYTHONPATH": f"{REPO}:{os.environ.get('PYTHONPATH', '')}", "PYTHONUNBUFFERED": "1"}
        self.environment = command_environment(folder, PREFECT_API_URL=self.url, **path, **QUICK, **more)
        prefect_tables(Path(self.environment["PREFECT_HOME"]))
        self.children: list[subprocess.Popen[bytes]] = []
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        environment = {**self.environment, "PREFECT_UI_ENABLED": "false", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
        environment.pop("PREFECT_API_URL")
        return self._run("server", ["server", "start", "--port", str(self.port)], environment)

    def _run(self, name: str, arguments: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "prefect", *arguments],
                cwd=REPO,
                env=environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self.children.append(process)
        return process

    def wait(self, seconds: float = 120) -> None:
        limit = time.monotonic() + seconds
        while not answers(self.url, timeout=1):
            assert self.process.poll() is None, self.log("server")
            assert time.monotonic() < limit, self.log("server")
            time.sleep(0.2)

    def restart(self, *, after_s: float = 0) -> None:
        """Killed, away for a while, and back."""
        kill(self.process)
        time.sleep(after_s)
        self.process = self._start()
        self.wait()

    def worker(self, name: str, *arguments: str, **more: str) -> subprocess.Popen[bytes]:
        """A worker of the pool, with scratch space of its own."""
        own = {"NIGHTSCRIBE_SCRATCH": str(self.folder / f"scratch-{name}"), **more}
        command = ["worker", "start", "--pool", "nightscribe", "--name", name, *arguments]
        return self._run(name, command, {**self.environment, **own})

    def begin(self, name: str, *arguments: str, **more: str) -> subprocess.Popen[bytes]:
        """`nightscribe ...` beside us; what it says on stdout and stderr is in NAME.out and NAME.log."""
        with (self.folder / f"{name}.log").open("ab") as log, (self.folder / f"{name}.out").open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "nightscribe", *arguments],
                cwd=REPO,
                env={**self.environment, **more},
                stdout=out,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self.children.append(process)
        return process

    def command(self, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        """`nightscribe ...` beside this server."""
        return subprocess.run(
            [sys.executable, "-m", "nightscribe", *arguments],
            cwd=REPO,
            env={**self.environment, **more},
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        return ask(self.url, path, body)

    def flow_runs(self, name: str) -> list[dict[str, Any]]:
        """The runs of a deployment that are past being scheduled, the oldest first."""
        wanted = {"deployments": {"name": {"any_": [name]}}, "sort": "EXPECTED_START_TIME_ASC", "limit": 200}
        return [run for run in self.ask("/flow_runs/filter", wanted) if run["state"]["type"] != "SCHEDULED"]

    def start_run(self, deployment: str, **parameters: Any) -> str:
        """Ask for a run now; returns its id."""
        found = self.ask("/deployments/filter", {"deployments": {"name": {"any_": [deployment]}}})
        made = self.ask(
            f"/deployments/{found[0]['id']}/create_flow_run", {"parameters": parameters, "state": {"type": "SCHEDULED"}}
        )
        return str(made["id"])

    def state_of(self, run_id: str) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self.url}/flow_runs/{run_id}", timeout=30) as answer:
            state: dict[str, Any] = json.load(answer)["state"]
        return state

    def wait_for(self, run_id: str, *types: str, seconds: float = 120) -> dict[str, Any]:
        """The state of a run, when it is one of these types."""
        limit = time.monotonic() + seconds
        while (state := self.state_of(run_id))["type"] not in types:
            assert time.monotonic() < limit, (state, self.log("server"), *(self.log(p.stem) for p in self.logs()))
            time.sleep(0.3)
        return state

    def logs(self) -> list[Path]:
        return sorted(self.folder.glob("*.log"))

    def log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")[-6000:]

    def stop(self) -> None:
        for process in self.children:
            kill(process)


def kill(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL of a process with all its children."""
    with contextlib.suppress(psutil.NoSuchProcess):
        for child in psutil.Process(process.pid).children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                child.kill()
    process.kill()
    process.wait()


@contextlib.contextmanager
def prefect_server(folder: Path, **more: str) -> Iterator[PrefectServer]:
    """A server that answers, gone at the end with all that was started through it."""
    folder.mkdir(parents=True, exist_ok=True)
    server = PrefectServer(folder, **more)
    try:
        server.wait()
        yield server
    finally:
        server.stop()
