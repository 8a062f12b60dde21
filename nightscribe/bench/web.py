"""The web app over a generated archive: how soon a page is there, and whether the server grows."""

from __future__ import annotations

import os
import random
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from urllib.parse import urlencode

import duckdb
import httpx
import psutil

from nightscribe.bench.made_lake import PHRASE, generate
from nightscribe.bench.table import Table
from tasks.lake.store import Lake
from tasks.lake.views import connect
from tasks.web.analytics import CHARTS

WORDS_PER_VIDEO = 500
FIRST_DAY, DAYS = date(2015, 1, 1), 4000  # of publication of the made-up videos
START_S = 60


def bench(*, full: bool) -> Table:
    """Pages asked one after the other, each with other words and filters than before, so that no answer is kept."""
    videos = 10_000 if full else 1_000
    questions = 100 if full else 20
    requests = 10_000 if full else 1_000
    folder = Path(tempfile.mkdtemp(prefix="nightscribe-bench-"))
    try:
        lake = Lake(str(folder / "lake"))
        generate(lake, videos, WORDS_PER_VIDEO)
        connection = connect(lake)
        made = _addresses(connection, random.Random(5))
        with _server(lake, folder) as (address, process), httpx.Client(base_url=address, timeout=60) as client:
            times = {name: _timed(client, ask, questions) for name, ask in made.items()}
            memory = _memory(client, process, made, requests)
    finally:
        shutil.rmtree(folder)
    table = Table(
        "web",
        "The web app",
        ("page, milliseconds", "median", "95th percentile", "longest"),
        settings=f"{videos:,} made-up videos of {WORDS_PER_VIDEO} words, {questions} requests of each page one after the other, "
        f"no two alike, from the same machine; memory of the server after 100 and after {requests:,} requests of all pages",
    )
    for name, spent in times.items():
        cuts = statistics.quantiles(spent, n=20)
        table.add(name, *(f"{1000 * value:.0f}" for value in (statistics.median(spent), cuts[18], max(spent))))
    table.add("**MB of the server**", f"**after 100: {memory[0]:.0f}**", f"**after {requests:,}: {memory[1]:.0f}**", "")
    table.figures = {"seconds": times, "memory_mb": memory, "videos": videos, "words": videos * WORDS_PER_VIDEO}
    return table


def _addresses(connection: duckdb.DuckDBPyConnection, chance: random.Random) -> dict[str, Callable[[], str]]:
    """For each page something that makes an address of it, another one each time."""
    passages = [
        row[0].split()
        for row in connection.execute("SELECT text FROM passages USING SAMPLE 500 ROWS (reservoir, 5)").fetchall()
    ]
    ids = [
        row[0] for row in connection.execute("SELECT video_id FROM videos ORDER BY hash(video_id) LIMIT 500").fetchall()
    ]

    def words(count: int) -> str:
        said = chance.choice(passages)
        at = chance.randrange(max(1, len(said) - count))
        return " ".join(said[at : at + count])

    def days() -> dict[str, str]:
        first = FIRST_DAY + timedelta(days=chance.randrange(DAYS // 4))
        return {"since": str(first), "until": str(first + timedelta(days=DAYS // 2 + chance.randrange(DAYS // 4)))}

    def chart(name: str, **more: str) -> Callable[[], str]:
        asked = {"phrase": lambda: words(2), "concordance": lambda: words(1)}.get(name)
        field = {"phrase": "phrase", "concordance": "word"}.get(name)

        def address() -> str:
            own = {field: asked()} if asked and field else {}
            return f"/analytics/{name}?{urlencode({**days(), **own, **more})}"

        return address

    return {
        "search, one word": lambda: f"/?{urlencode({'q': words(1)})}",
        "search, two words": lambda: f"/?{urlencode({'q': words(2)})}",
        "search, phrase of three words": lambda: f"/?{urlencode({'q': words(3), 'mode': 'phrase'})}",
        "search, a phrase in one video of a thousand": lambda: (
            f"/?{urlencode({'q': PHRASE, 'mode': 'phrase', **days()})}"
        ),
        "watch": lambda: f"/watch/{chance.choice(ids)}?{urlencode({'q': words(1), 'at': chance.randrange(180_000)})}",
        **{f"chart: {about.title.lower()}": chart(name) for name, about in CHARTS.items()},
        "chart: a phrase over time, by day": chart("phrase", grain="day"),
        "operations": lambda: "/operations",
        "API: search, one word": lambda: f"/api/search?{urlencode({'q': words(1)})}",
        "API: transcript": lambda: f"/api/videos/{chance.choice(ids)}/transcript",
    }


def _timed(client: httpx.Client, address: Callable[[], str], count: int) -> list[float]:
    for _ in range(3):
        _get(client, address())
    spent = []
    for _ in range(count):
        asked = address()
        started = time.perf_counter()
        _get(client, asked)
        spent.append(time.perf_counter() - started)
    return spent


def _get(client: httpx.Client, address: str) -> None:
    answer = client.get(address)
    if answer.status_code != 200:
        raise RuntimeError(f"{address}: {answer.status_code} {re.sub('<[^>]+>', ' ', answer.text)[:300]}")


def _memory(
    client: httpx.Client, process: psutil.Process, made: dict[str, Callable[[], str]], requests: int
) -> tuple[float, float]:
    """Proportional size of the server in MB after 100 requests of all pages in turns, and after all."""
    sizes = {}
    asks = list(made.values())
    for number in range(1, requests + 1):
        _get(client, asks[number % len(asks)]())
        if number in (100, requests):
            sizes[number] = process.memory_full_info().pss / 2**20
    return sizes[100], sizes[requests]


@contextmanager
def _server(lake: Lake, folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("NIGHTSCRIBE_")}
    environment |= {"NIGHTSCRIBE_SCRATCH": str(folder / "scratch")}
    command = [sys.executable, "-m", "nightscribe", "serve", "--lake", lake.uri, "--port", str(port)]
    server = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        address = f"http://127.0.0.1:{port}"
        until = time.monotonic() + START_S
        while True:
            try:
                httpx.get(f"{address}/api/health", timeout=5).raise_for_status()
                break
            except httpx.HTTPError:
                if server.poll() is not None or time.monotonic() > until:
                    raise
                time.sleep(0.1)
        yield address, psutil.Process(server.pid)
    finally:
        server.terminate()
        server.wait(30)
