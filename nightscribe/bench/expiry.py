"""What it costs to let go of old generations: seconds for each, in lakes of more and more videos."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from nightscribe.bench.made_lake import generate
from nightscribe.bench.table import Table
from tasks.lake.check import check
from tasks.lake.maintain import compact, expire, sweep
from tasks.lake.schema import TABLES
from tasks.lake.store import Lake
from tasks.lake.views import connect

WORDS_PER_VIDEO = 100


def bench(*, full: bool) -> Table:
    """Every video has two generations, which `compact` has put into the same files; the older one of each goes."""
    sizes = [1_000, 10_000, 100_000] if full else [1_000, 10_000]
    table = Table(
        "expiry",
        "Letting go of old generations",
        ("generations that go", "expire, seconds", "sweep, seconds", "ms a generation", "files read anew"),
        settings=f"as many videos of {WORDS_PER_VIDEO} words, each with a newer generation that stays in the same files",
    )
    for videos in sizes:
        with tempfile.TemporaryDirectory(prefix="nightscribe-bench-") as folder:
            lake = Lake(str(Path(folder, "lake")))
            generate(lake, videos, WORDS_PER_VIDEO, generations=2)
            for name in TABLES:
                compact(lake, name)
            before = {name: len(lake.files(name)) for name in TABLES}
            started = time.perf_counter()
            assert expire(lake, 1) == videos
            expired = time.perf_counter()
            swept = sweep(lake, grace_h=0.0)
            done = time.perf_counter()
            assert swept["words"] == videos * WORDS_PER_VIDEO
            assert connect(lake).execute("SELECT count(*) FROM videos_all").fetchall() == [(videos,)]
            assert check(lake) == []
        each = 1000 * (done - started) / videos
        table.add(
            f"{videos:,}",
            f"{expired - started:.1f}",
            f"{done - expired:.1f}",
            f"{each:.2f}",
            str(sum(before.values())),
        )
        table.figures[str(videos)] = {"expire_s": expired - started, "sweep_s": done - expired, "ms_each": each}
    return table
