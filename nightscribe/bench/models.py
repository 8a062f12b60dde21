"""How fast and how large the acoustic models of the catalogue are on this machine.

Neither depends on the weights, so that models of the same shape are made with random ones; nothing is downloaded.
"""

from __future__ import annotations

import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from nightscribe.bench.material import audio_of, talks
from nightscribe.bench.shapes import SHAPES, shaped
from nightscribe.bench.table import Table
from tasks.models.catalog import read_catalog
from tasks.settings import Settings


@dataclass(frozen=True)
class Measured:
    """What one model takes: parameters in millions, milliseconds a frame, times real time, and memory of the process."""

    parameters: float
    frame_ms: float
    times_real_time: float
    memory_gb: float
    precision: str


def bench(*, full: bool) -> Table:
    """Emissions of a talk by each shape, each in a process of its own."""
    named = SHAPES if full else {name: SHAPES[name] for name in ("wav2vec2",)}
    seconds = 60.0 if full else 20.0
    table = Table(
        "models",
        "Acoustic models of the catalogue",
        ("set", "parameters", "frame", "precision", "times real time", "memory"),
        settings=f"emissions of {seconds:g} s of speech, the first window left out; random weights but for `demo`; memory of the "
        "whole process, with torch and transformers",
    )
    catalogue = read_catalog(Settings().catalog)
    for name in [*named, "demo"]:
        assert name in catalogue, "a shape without a set"
        with ProcessPoolExecutor(1, get_context("spawn")) as process:
            measured = process.submit(_measure, name, seconds).result()
        table.add(
            f"`{name}`",
            f"{measured.parameters:.0f} M",
            f"{measured.frame_ms:g} ms",
            measured.precision,
            f"{measured.times_real_time:.1f}",
            f"{measured.memory_gb:.1f} GB",
        )
        key = name.replace("-", "_")
        table.figures |= {
            f"{key}_times_real_time": round(measured.times_real_time, 2),
            f"{key}_memory_gb": round(measured.memory_gb, 2),
        }
    return table


def _measure(name: str, seconds: float) -> Measured:
    """In a process of its own."""
    settings = Settings(scratch_free_gb=0.0)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        model = _demo() if name == "demo" else shaped(SHAPES[name], folder)
        audio = audio_of(talks()[0].path, folder, settings)
        given = model.inputs.window(audio, 0, model.geometry.samples(model.geometry.window))[None]
        model.infer(given)
        windows = max(1, round(seconds * 16_000 / (model.geometry.window * model.geometry.stride)))
        started = time.perf_counter()
        for _ in range(windows):
            model.infer(given)
        spent = time.perf_counter() - started
    return Measured(
        parameters=sum(weight.numel() for weight in model.model.parameters()) / 1e6,
        frame_ms=model.frame_ms,
        # of a window, what lies between its contexts is new
        times_real_time=windows * (model.geometry.window - 2 * model.geometry.context) * model.frame_ms / 1000 / spent,
        memory_gb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
        precision={"torch.float32": "fp32", "torch.bfloat16": "bf16"}[str(model.dtype)],
    )


def _demo() -> Any:
    from tasks.models.catalog import find_set
    from tasks.speech.acoustic import load_acoustic

    return load_acoustic(find_set(Settings()).acoustic.path, device="cpu")
