"""What a night costs before it does anything: a large bucket listed and compared with a lake as large."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nightscribe.bench import more_stages
from nightscribe.bench.listing import BUCKET
from nightscribe.bench.scan_lake import fill
from nightscribe.bench.table import Table

CHANGED = 1000


def bench(*, full: bool) -> Table:
    """The command itself, in a process of its own, against a server that answers at once; then where its time goes."""
    total = 1_000_000 if full else 100_000
    table = Table(
        "scan",
        "A night over a large archive",
        ("", "seconds", "peak memory, MB"),
        settings=f"{total:,} objects listed by an S3 server on the same machine, {total:,} videos in the lake",
    )
    changed = f"a scan that finds {CHANGED:,} changed"
    with _archive(fill, total) as folder:
        _night(table, "a night with nothing to do", folder, total)
        _night(table, changed, folder, total, CHANGED)
        with _listing(total, CHANGED) as url:
            parts, _, _ = _run(folder, url, [], module="nightscribe.bench.scan")
        for part, spent in parts.items():
            table.add(f"of that: {part}", f"{spent:.1f}", "")
        table.figures["parts"] = parts
    with _archive(more_stages.fill, total) as folder:
        program = "nightscribe.bench.more_stages"
        stages = f"{more_stages.STAGES} stages"
        _night(table, f"{stages}: a night with nothing to do", folder, total, module=program)
        _night(table, f"{stages}: {changed}", folder, total, CHANGED, module=program)
    return table


@contextlib.contextmanager
def _archive(filling: Callable[[str, int], None], total: int) -> Iterator[Path]:
    """A folder with a lake that `filling` fills."""
    with tempfile.TemporaryDirectory() as temporary:
        # In a process of its own: what this one has had in memory counts as the peak of a process that it starts.
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as apart:
            apart.submit(filling, str(Path(temporary) / "lake"), total).result()
        yield Path(temporary)


def _night(table: Table, name: str, folder: Path, total: int, changed: int = 0, module: str = "nightscribe") -> None:
    """A row of a whole command, which is only to plan where there is something to do."""
    plan = ["--plan"] if changed else []
    with _listing(total, changed) as url:
        report, seconds, memory = _run(folder, url, ["index", BUCKET, "--json", *plan], module=module)
    assert (report["scanned"], report["changed"], report["gone"]) == (total, changed, 0), report
    table.add(name, f"{seconds:.1f}", f"{memory:,.0f}")
    table.figures[name] = {"seconds": round(seconds, 2), "mb": round(memory)}


@contextlib.contextmanager
def _listing(total: int, changed: int) -> Iterator[str]:
    command = [sys.executable, "-m", "nightscribe.bench.listing", str(total), str(changed)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        yield server.stdout.readline().strip()
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def _run(folder: Path, url: str, arguments: list[str], *, module: str = "nightscribe") -> tuple[Any, float, float]:
    """What a command printed as JSON, its seconds, and its peak memory in MB."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "NIGHTSCRIBE_"))}
    own = {
        "NIGHTSCRIBE_LAKE": str(folder / "lake"),
        "NIGHTSCRIBE_SCRATCH": str(folder / "scratch"),
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": "bench",
        "AWS_SECRET_ACCESS_KEY": "bench",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    started = time.perf_counter()
    with tempfile.TemporaryFile() as out:
        process = subprocess.Popen([sys.executable, "-m", module, *arguments], env=kept | own, stdout=out)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        said = out.read()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args, said)
    return json.loads(said), seconds, used.ru_maxrss / 1024


def _parts() -> dict[str, float]:
    """Seconds of the steps of a scan, one after the other in this process."""
    from tasks.lake.store import Lake
    from tasks.lake.views import connect
    from tasks.models.catalog import find_set
    from tasks.runs.scan import scan
    from tasks.settings import Settings
    from tasks.sources.bucket import open_bucket
    from tasks.stages.recipes import recipes

    settings = Settings()
    spent = {}
    started = time.perf_counter()

    def lap(name: str) -> None:
        nonlocal started
        spent[name] = round(time.perf_counter() - started, 2)
        started = time.perf_counter()

    made = recipes(find_set(settings), settings)
    bucket = open_bucket(BUCKET, settings)
    lap("start")
    objects = list(bucket.list())
    lap("listing, pages of 1,000")
    connection = connect(Lake(settings.lake))
    lap("opening the lake")
    found = scan(bucket, connection, made, settings, now=datetime.now(UTC), objects=objects)
    assert len(found.work) == CHANGED
    lap("table of the listing, comparison")
    return spent


if __name__ == "__main__":
    print(json.dumps(_parts()))
