"""Queries over a large generated lake: words by their frequency in English, videos of a hundred words."""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from nightscribe.bench.made_lake import ONE, PHRASE, generate
from nightscribe.bench.table import Table
from tasks.lake.store import Lake
from tasks.lake.views import Snapshot, connect
from tasks.search.duck import search
from tasks.search.query import make_query

WORDS_PER_VIDEO = 100
BYTES_PER_MILLION = 25_000_000  # of disk, with room to spare; a size that does not fit is left out
COUNT = "SELECT count(*) FROM words"
CUES = "SELECT start_ms, end_ms, text FROM cues WHERE video_id = (SELECT min(video_id) FROM videos) ORDER BY cue_no"
TALK_TIME = """
    SELECT strftime(v.published_at, '%Y-%m') AS month, t.label, sum(v.speech_ms) / 60_000 AS minutes
    FROM videos v JOIN topics t ON t.video_id = v.video_id AND t.scope = 'video' AND t.rank = 1
    WHERE v.status = 'indexed' GROUP BY ALL ORDER BY ALL
"""


def bench(*, full: bool) -> Table:
    """Medians of five, after one to warm up, each with a connection that is open already; its opening has its own row."""
    sizes = [10, 100, 900] if full else [1, 5]
    free = shutil.disk_usage(tempfile.gettempdir()).free
    sizes = [millions for millions in sizes if millions * BYTES_PER_MILLION < free]
    table = Table(
        "lake",
        "Queries over a generated lake",
        ("query, seconds", *(f"{millions} million words" for millions in sizes)),
        settings=f"{WORDS_PER_VIDEO} words a video, vocabulary and frequencies of the demo language model's word list, "
        f"a phrase of two words planted in one video of a thousand",
    )
    columns = []
    for millions in sizes:
        folder = Path(tempfile.mkdtemp(prefix="nightscribe-bench-"))
        try:
            lake = Lake(str(folder / "lake"))
            generate(lake, millions * 1_000_000 // WORDS_PER_VIDEO, WORDS_PER_VIDEO)
            columns.append(_times(lake))
        finally:
            shutil.rmtree(folder)
    for name in columns[0]:
        table.add(name, *(f"{column[name]:.2f}" for column in columns))
    table.figures = {f"{millions}M": column for millions, column in zip(sizes, columns, strict=True)}
    return table


def _times(lake: Lake) -> dict[str, float]:
    started = time.perf_counter()
    connection = connect(lake, Snapshot.of(lake), lean=True, history=False)
    times = {"open": time.perf_counter() - started}
    queries: dict[str, Callable[[], object]] = {
        "phrase of two words": lambda: search(connection, make_query(PHRASE, phrase=True)),
        "one word": lambda: search(connection, make_query(ONE)),
        "count of all words": lambda: connection.execute(COUNT).fetchall(),
        "one video's cues": lambda: connection.execute(CUES).fetchall(),
        "month's talk time by topic": lambda: connection.execute(TALK_TIME).fetchall(),
    }
    for name, ask in queries.items():
        spent = []
        for _ in range(6):
            started = time.perf_counter()
            ask()
            spent.append(time.perf_counter() - started)
        times[name] = round(statistics.median(spent[1:]), 4)
    return times
