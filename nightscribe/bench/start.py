"""How long commands take that do little: help, a search, a run with nothing to do."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from nightscribe.bench.table import Table
from tasks.settings import REPO


def bench(*, full: bool) -> Table:
    """Medians over new processes."""
    times = 9 if full else 3
    table = Table(
        "start",
        "Commands that do little",
        ("command", "seconds"),
        settings=f"median of {times} new processes, lake of the sample archive",
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        keep = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "NIGHTSCRIBE_"))}
        environment = keep | {
            "NIGHTSCRIBE_LAKE": str(folder / "lake"),
            "NIGHTSCRIBE_SCRATCH": str(folder / "scratch"),
            "PREFECT_HOME": str(folder / "prefect"),
        }

        def run(*arguments: str) -> float:
            started = time.monotonic()
            command = [sys.executable, "-m", "nightscribe", *arguments]
            subprocess.run(command, env=environment, capture_output=True, check=True)
            return time.monotonic() - started

        bucket = str(REPO / "data/bucket")
        run("index", bucket)
        for name, arguments in {
            "`nightscribe --help`": ["--help"],
            "`nightscribe search` (DuckDB)": ["search", "interest rates"],
            "`nightscribe index` with nothing to do": ["index", bucket],
        }.items():
            middle = statistics.median(run(*arguments) for _ in range(times))
            table.add(name, f"{middle:.2f}")
            table.figures[name.strip("`")] = round(middle, 3)
    return table
