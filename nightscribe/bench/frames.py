"""How long it takes to compare a wish with every frame of a large archive, beside products of matrices in memory."""

from __future__ import annotations

import importlib.util
import os
import resource
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from nightscribe.bench.table import Table
from tasks.arrays import Array
from tasks.errors import SearchUnavailable
from tasks.lake.commit import commit
from tasks.lake.create import create_lake
from tasks.lake.store import Lake
from tasks.lake.views import Snapshot, connect
from tasks.models.packing import packed
from tasks.records import Metadata, Outcome, Recipes, Result, VideoTask
from tasks.search.answer import elastic
from tasks.search.elastic import near
from tasks.search.elastic.connection import Connection
from tasks.search.elastic.sync import sync
from tasks.search.near_kinds import KINDS
from tasks.search.near_scan import NearQuery, search
from tasks.settings import Settings
from tasks.stages.registry import STAGES

SIZE = 512
FRAMES = 500  # of a video
COMMITTED = 100  # videos at once
MANY, FEW = 1_000_000, 50_000
MORE = 10_000_000
ROUNDS = 3
CHUNK = 20_000
FIRST = 10


def bench(*, full: bool) -> Table:
    """A search of the lake, numpy and faiss, each in a process of its own; the best of three rounds."""
    table = Table(
        "frames",
        "A picture that is wished for, among all frames",
        ("", "frames", "seconds", "memory beyond the start, MB", "of the first ten the same as numpy's"),
        settings=f"vectors of {SIZE} numbers, drawn, in bytes with a scale in the lake; {FRAMES} a video; best of {ROUNDS} rounds; "
        "numpy and faiss have theirs in memory before they are timed, which is counted as theirs",
    )
    for count in (MANY, MORE) if full else (FEW,):
        with tempfile.TemporaryDirectory(prefix="nightscribe-bench-") as temporary:
            folder = Path(temporary)
            generate(folder, count)
            ways: dict[str, Callable[[str], tuple[float, float, list[str]]]] = {
                "the lake": of_lake,
                "numpy, bytes": of_bytes,
            }
            if count <= MANY:
                ways["numpy, floats"] = of_floats
            if count <= MANY and Settings().elasticsearch_url:
                ways["Elasticsearch, its own memory"] = of_elasticsearch
            if importlib.util.find_spec("faiss"):
                ways["faiss, bytes" if count > MANY else "faiss, floats"] = of_faiss
            found = {name: _alone(way, str(folder)) for name, way in ways.items()}
            exact = found["numpy, bytes"][2]
            for name, (seconds, memory, first) in found.items():
                same = len(set(first) & set(exact)) / len(exact)
                table.add(name, f"{count:,}", f"{seconds:.2f}", f"{memory:,.0f}", f"{same:.0%}")
                table.figures[f"{name} {count}"] = {
                    "seconds": round(seconds, 3),
                    "memory_mb": round(memory),
                    "same": same,
                }
    return table


def _alone(way: Callable[[str], tuple[float, float, list[str]]], folder: str) -> tuple[float, float, list[str]]:
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(way, folder).result()


def generate(folder: Path, count: int) -> None:
    """A lake of so many frames, the same numbers as bytes and scales in files, and what is wished for."""
    lake = Lake(str(folder / "lake"))
    create_lake(lake)
    rng = np.random.default_rng(3)
    wished = rng.standard_normal(SIZE, np.float32)
    np.save(folder / "wished.npy", wished / np.linalg.norm(wished))
    with (folder / "vectors.i8").open("wb") as bytes_, (folder / "scales.f4").open("wb") as scales_:
        for first in range(0, count // FRAMES, COMMITTED):
            results = []
            for video in range(first, min(count // FRAMES, first + COMMITTED)):
                vectors = rng.standard_normal((FRAMES, SIZE), np.float32)
                rows, scales = packed(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
                results.append(_video(video, rows, scales))
                bytes_.write(b"".join(rows))
                scales_.write(np.asarray(scales, np.float32).tobytes())
            commit(lake, results, run_id="bench", device="cpu")


def _video(number: int, rows: list[bytes], scales: list[float]) -> Result:
    video_id, second = f"{number:020x}", 1000
    frames = [
        {"start_ms": second * n, "end_ms": second * (n + 1), "shot": n, "picture": n, "vector": row, "scale": scale}
        for n, (row, scale) in enumerate(zip(rows, scales, strict=True))
    ]
    work = VideoTask(video_id, f"{number}.mp4", 1, "1-1", None, None, None, "new", STAGES.names)
    return Result(
        work=work,
        bucket="file:///bench",
        bucket_uri="file:///bench",
        status="no_speech",
        metadata=Metadata(str(number), "", (), datetime(2024, 1, 1, tzinfo=UTC), None),
        recipes=Recipes(dict.fromkeys(STAGES.names, "r"), {}),
        duration_ms=second * len(rows),
        outcomes={"frames": Outcome({"frames": frames}, 0.0)},
    )


def of_lake(folder: str) -> tuple[float, float, list[str]]:
    """What `search --picture` does after the text has become a vector."""
    wished: Array = np.load(f"{folder}/wished.npy")
    lake, kind = Lake(f"{folder}/lake"), KINDS["pictures"]

    def ask() -> list[str]:
        connection = connect(lake, Snapshot.of(lake, kind.tables), lean=True, history=False)
        found = search(connection, kind, NearQuery(wished, limit=FIRST, moments=1), ["r"])
        return [f"{video['video_id']} {video['moments'][0]['start_ms']}" for video in found["videos"]]

    return _measured(ask)


def of_elasticsearch(folder: str) -> tuple[float, float, list[str]]:
    """The same from an index of that lake, which is loaded before, and goes afterwards."""
    wished: Array = np.load(f"{folder}/wished.npy")
    lake, kind = Lake(f"{folder}/lake"), KINDS["pictures"]
    prefix = f"nightscribe-bench-{os.getpid()}"
    settings = Settings(lake=lake.uri, elasticsearch_prefix=prefix)
    report = sync(lake, settings)
    print(f"loaded into Elasticsearch in {report.seconds:.0f} s", file=sys.stderr, flush=True)
    client = Connection.of(settings).client()
    try:
        if report.outcome != "done":
            raise SearchUnavailable(f"The index was not loaded: {report.shortfall}", next="nightscribe sync --verify")
        with elastic(settings, lake) as searcher:

            def ask() -> list[str]:
                found = near.search(searcher, kind, NearQuery(wished, limit=FIRST, moments=1), ["r"])
                return [f"{video['video_id']} {video['moments'][0]['start_ms']}" for video in found["videos"]]

            return _measured(ask)
    finally:
        client.indices.delete(index=sorted(client.indices.get(index=f"{prefix}-*")))  # no wildcard is let delete


def _chunks(folder: str) -> Iterator[tuple[int, Array]]:
    scales = np.fromfile(f"{folder}/scales.f4", np.float32)
    numbers = np.memmap(f"{folder}/vectors.i8", np.int8, "r", shape=(len(scales), SIZE))
    for start in range(0, len(scales), CHUNK):
        yield start, numbers[start : start + CHUNK].astype(np.float32) * scales[start : start + CHUNK, None]


def of_bytes(folder: str) -> tuple[float, float, list[str]]:
    """The same bytes from a file that the system has in memory, made floats and multiplied by the chunk."""
    wished = np.load(f"{folder}/wished.npy")
    return _measured(lambda: _named(np.concatenate([rows @ wished for _, rows in _chunks(folder)])))


def of_floats(folder: str) -> tuple[float, float, list[str]]:
    """One product of a matrix of floats in memory."""
    wished = np.load(f"{folder}/wished.npy")
    return _measured(
        lambda matrix: _named(matrix @ wished), lambda: np.concatenate([rows for _, rows in _chunks(folder)])
    )


def of_faiss(folder: str) -> tuple[float, float, list[str]]:
    """A flat index of floats, or beyond a million of bytes."""
    import faiss

    wished = np.load(f"{folder}/wished.npy")

    def made() -> Any:
        many = Path(folder, "scales.f4").stat().st_size // 4 > MANY
        index = (
            faiss.IndexScalarQuantizer(SIZE, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT)
            if many
            else faiss.IndexFlatIP(SIZE)
        )
        for start, rows in _chunks(folder):
            if start == 0 and not index.is_trained:
                index.train(rows)
            index.add(rows)
        return index

    def ask(index: Any) -> list[str]:
        _, numbers = index.search(wished[None], 50 * FIRST)
        return _first([int(n) for n in numbers[0]])

    return _measured(ask, made)


def _named(near: Array) -> list[str]:
    """The nearest frame of the first ten videos."""
    order = np.argpartition(-near, 50 * FIRST)[: 50 * FIRST]
    return _first([int(n) for n in order[np.argsort(-near[order], kind="stable")]])


def _first(numbers: list[int]) -> list[str]:
    best: dict[int, int] = {}
    for number in numbers:
        best.setdefault(number // FRAMES, number % FRAMES)
    return [f"{video:020x} {1000 * frame}" for video, frame in list(best.items())[:FIRST]]


def _measured(ask: Callable[..., list[str]], made: Callable[[], Any] | None = None) -> tuple[float, float, list[str]]:
    """Seconds of the best round, megabytes beyond what the process had before, and what was found."""
    before, most, done = _resident(), 0.0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(0.02):
            most = max(most, _resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    given = [made()] if made else []
    spent, found = [], []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        found = ask(*given)
        spent.append(time.perf_counter() - started)
    done.set()
    watcher.join()
    return min(spent), most - before, found


def _resident() -> float:
    """Megabytes of this process in memory that are its own."""
    fields = Path("/proc/self/statm").read_text().split()
    return (int(fields[1]) - int(fields[2])) * resource.getpagesize() / 1e6
