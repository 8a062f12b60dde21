"""Prefect's server on Postgres: setup, a backfill by a worker, and the database away in its middle. With `--long` only."""

from __future__ import annotations

import asyncio
import getpass
import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from prefect_server import kill, prefect_server
from sessions import cut

from tasks.lake.store import Lake
from tasks.lake.views import connect


def programs() -> Path | None:
    """Where Postgres's own programs are; Debian keeps them off the PATH."""
    found = shutil.which("initdb")
    kept = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return Path(found).resolve().parent if found else kept[-1].parent if kept else None


class Postgres:
    """A cluster in a folder of its own, on a port of its own. Postgres refuses to run as root."""

    def __init__(self, folder: Path, bin_: Path) -> None:
        self.bin, self.data = bin_, folder / "data"
        self.user = "postgres" if os.geteuid() == 0 else getpass.getuser()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        if os.geteuid() == 0:
            shutil.chown(folder, self.user)
        self.do("initdb", "-D", str(self.data), "-U", "prefect", "-A", "trust", "--no-sync")
        self.start()

    @property
    def url(self) -> str:
        return f"postgresql+asyncpg://prefect@127.0.0.1:{self.port}/postgres"

    def do(self, program: str, *arguments: str) -> str:
        done = subprocess.run(
            [str(self.bin / program), *arguments],
            user=self.user,
            cwd="/",
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, (program, done.stdout, done.stderr)
        return done.stdout

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c fsync=off"
        self.do("pg_ctl", "start", "-w", "-D", str(self.data), "-l", str(self.data / "log"), "-o", options)

    def stop(self) -> None:
        self.do("pg_ctl", "stop", "-w", "-m", "immediate", "-D", str(self.data))

    def count(self, sql: str) -> int:
        async def asked() -> int:
            connection = await asyncpg.connect(self.url.replace("+asyncpg", ""))
            try:
                return int(await connection.fetchval(sql))
            finally:
                await connection.close()

        return asyncio.run(asked())


@pytest.fixture
def postgres(long: bool) -> Iterator[Postgres]:
    if not long:
        pytest.skip("a server of its own takes a minute: --long")
    found = programs()
    if found is None:
        pytest.skip("Postgres is not installed")
    # Not in pytest's folders, which other users than its own may not enter.
    with tempfile.TemporaryDirectory(prefix="postgres-") as folder:
        server = Postgres(Path(folder), found)
        yield server
        server.stop()


def test_a_backfill_with_prefect_on_postgres_that_goes_away_for_a_while(postgres, tmp_path):
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    for n in range(8):
        cut(bucket / f"clip {n}.wav", 2 + n / 10)
    lake = Lake(str(tmp_path / "lake"))
    with prefect_server(tmp_path / "prefect", PREFECT_API_DATABASE_CONNECTION_URL=postgres.url) as prefect:
        own = {"NIGHTSCRIBE_LAKE": lake.uri, "NIGHTSCRIBE_BATCH_VIDEOS": "1", "NIGHTSCRIBE_SILENCE_S": "20"}
        made = prefect.command("setup")
        assert made.returncode == 0, made.stdout + made.stderr
        worker = prefect.worker("one", "--limit", "1", **own)
        command = prefect.begin(
            "backfill", "backfill", str(bucket), "--yes", "--slice-hours", "0.0024", "--json", **own
        )
        limit = time.monotonic() + 180
        while not lake.exists() or connect(lake).execute("SELECT count(*) FROM videos").fetchone()[0] < 2:
            assert time.monotonic() < limit, (prefect.log("backfill"), prefect.log("one"), prefect.log("server"))
            time.sleep(0.2)
        postgres.stop()
        time.sleep(3)
        postgres.start()
        assert command.wait(300) == 0, (prefect.log("backfill"), prefect.log("one"), prefect.log("server"))
        kill(worker)
    report = json.loads((tmp_path / "prefect/backfill.out").read_text())
    assert (report["videos"], report["failed"], report["left"]) == (8, 0, 0)
    assert report["slices"]["done"] == report["slices"]["planned"] >= 2
    assert connect(lake).execute("SELECT count(*), count(DISTINCT key) FROM videos").fetchone() == (8, 8)
    assert postgres.count("SELECT count(*) FROM flow_run WHERE state_type = 'COMPLETED'") >= 1
