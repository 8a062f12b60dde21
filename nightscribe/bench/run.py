"""Whole runs of `nightscribe index`: what is not media, model or beam search, and how much memory a long video takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from nightscribe.bench.material import base_model, filmed, looped, talks
from nightscribe.bench.table import Table
from tasks.lake.store import Lake
from tasks.lake.views import connect


def bench_overhead(*, full: bool) -> Table:
    """The share of an index run in which neither ffmpeg nor the model nor a decoder was at work."""
    files, minutes = (12, 5.0) if full else (4, 2.5)
    table = Table(
        "overhead",
        "What orchestration costs",
        ("run", "seconds", "times real time", "neither media, model nor beam search"),
        settings=f"`nightscribe index` over {files} files of {minutes:g} minutes, wav2vec2-base, demo models, "
        "start and end of the program and of its own Prefect server included",
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        bucket = folder / "bucket"
        bucket.mkdir()
        paths = [talk.path for talk in talks()]
        whole = looped(paths, folder / "talk.m4a", minutes=minutes)
        for n in range(files):
            (bucket / f"{n}.m4a").write_bytes(whole.read_bytes() + bytes([n]))
        for name, models in (("wav2vec2-base", base_model(folder / "base")), ("demo models", "demo")):
            started = time.monotonic()
            report = _index(bucket, folder / name, models)
            spent = time.monotonic() - started
            outside = spent - report["seconds"]["total"]
            share = (report["seconds"]["overhead"] + outside) / spent
            table.add(name, f"{spent:.1f}", f"{report['media_ms'] / 1000 / spent:.1f}", f"{share:.1%}")
            table.figures[name] = {"seconds": round(spent, 1), "overhead": round(share, 4)}
    return table


def bench_memory(*, full: bool) -> Table:
    """Peak memory of all processes of a run on one long video, and what the bare models take."""
    hours = 10.0 if full else 1.0
    table = Table(
        "memory",
        "Peak memory of one long video",
        ("", "MB"),
        settings=f"`nightscribe index` over one file of {hours:g} hours, demo models, all processes with the Prefect "
        "server, proportional set size",
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        peaks = []
        for length in (0.5, 60 * hours):
            bucket = folder / f"bucket-{length:g}"
            bucket.mkdir()
            looped([talk.path for talk in talks()], bucket / "talk.m4a", minutes=length)
            with _Memory() as memory:
                _index(bucket, folder / f"run-{length:g}", "demo")
            peaks.append(memory.peak_mb)
        table.add("half a minute: libraries, models and server", f"{peaks[0]:,.0f}")
        table.add(f"{hours:g} h", f"{peaks[1]:,.0f}")
        table.add("difference", f"{peaks[1] - peaks[0]:,.0f}")
        table.figures = {"short_mb": round(peaks[0]), "long_mb": round(peaks[1]), "hours": hours}
    return table


def bench_every_stage(*, full: bool) -> Table:
    """What each stage costs an hour of video, and how much memory all of them take together, with and without the reader."""
    table = Table(
        "every-stage",
        "Every stage of a video",
        ("", "seconds an hour of video", "share"),
        settings="`nightscribe index` over one video of 640 x 360, the sample archive again and again, set `demo-all`",
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        for name, minutes, reader in (("with", 60 if full else 5, "rapidocr"), ("without", 600 if full else 10, "")):
            bucket = folder / name
            bucket.mkdir()
            filmed([talk.path for talk in talks()], bucket / "talk.mp4", minutes=minutes)
            with _Memory() as memory:
                report = _index(bucket, folder / f"run-{name}", "demo-all", reader=reader)
            hours = report["media_ms"] / 3_600_000
            table.settings += f"; {hours:.2g} h {name} the reader: {memory.peak_mb:,.0f} MB at most, all processes"
            table.figures[name] = {"hours": round(hours, 3), "peak_mb": round(memory.peak_mb)}
            if not reader:
                continue
            lake = Lake(str(folder / f"run-{name}" / "lake"))
            rows = connect(lake).execute(
                "SELECT stage, seconds FROM stage_runs WHERE seconds > 0 ORDER BY seconds DESC"
            )
            spent = [(stage, seconds / hours) for stage, seconds in rows.fetchall()]
            total = sum(seconds for _, seconds in spent)
            for stage, seconds in spent:
                table.add(stage, f"{seconds:.1f}", f"{seconds / total:.0%}")
                table.figures[name][stage] = round(seconds, 2)
    return table


def _index(bucket: Path, folder: Path, models: str, *, reader: str = "") -> dict[str, Any]:
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("PREFECT_", "NIGHTSCRIBE_"))}
    own = {
        "NIGHTSCRIBE_LAKE": str(folder / "lake"),
        "NIGHTSCRIBE_SCRATCH": str(folder / "scratch"),
        "PREFECT_HOME": str(folder / "prefect"),
        **({"NIGHTSCRIBE_SCREEN_LINES__READER": reader} if reader else {}),
    }
    command = [sys.executable, "-m", "nightscribe", "index", str(bucket), "--models", models, "--json"]
    done = subprocess.run(command, env=keep | own, capture_output=True, text=True, check=True)
    report: dict[str, Any] = json.loads(done.stdout)
    return report


class _Memory:
    """The largest sum of proportional set sizes of our child processes, looked at four times a second."""

    def __init__(self) -> None:
        self.peak_mb = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> _Memory:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.25):
            total = 0
            for child in psutil.Process().children(recursive=True):
                try:
                    total += child.memory_full_info().pss
                except psutil.Error:
                    continue  # it has ended
            self.peak_mb = max(self.peak_mb, total / 2**20)
