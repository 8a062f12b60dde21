"""Elasticsearch at a size: how fast it is filled, and how soon either engine answers."""

from __future__ import annotations

import json
import random
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import psutil
from elasticsearch.helpers import streaming_bulk

from nightscribe.bench.made_lake import generate
from nightscribe.bench.table import Table
from tasks.errors import Misconfigured
from tasks.lake.store import Lake
from tasks.lake.views import connect
from tasks.search.duck import LakeSearcher
from tasks.search.elastic.ask import Searcher
from tasks.search.elastic.connection import Connection, reached
from tasks.search.elastic.documents import chunks, current, documents
from tasks.search.elastic.index import create_index, ready, write_state
from tasks.search.elastic.push import CHUNK_VIDEOS, part_id, push
from tasks.search.elastic.syncer import Syncer
from tasks.search.elastic.target import Target
from tasks.search.query import Query, make_query
from tasks.settings import Settings
from tasks.text.passages import OWN_WORDS

WORDS_PER_VIDEO = 1500  # ten minutes
QUESTIONS = 100  # of each kind


def bench(*, full: bool) -> Table:
    """Passages into an index, ours and bare in turns; then questions of five kinds to both engines.

    Raises:
        Misconfigured: no Elasticsearch is set.
    """
    given = Settings()
    if not given.elasticsearch_url:
        raise Misconfigured(
            "This bench wants an Elasticsearch of its own.",
            next="make elasticsearch; then NIGHTSCRIBE_ELASTICSEARCH_URL=http://127.0.0.1:9200 nightscribe bench search",
        )
    settings = given.model_copy(update={"elasticsearch_prefix": f"{given.elasticsearch_prefix}-bench"})
    passages_per_video = -(-WORDS_PER_VIDEO // OWN_WORDS)
    videos = (200_000 if full else 20_000) // passages_per_video
    folder = Path(tempfile.mkdtemp(prefix="nightscribe-bench-"))
    try:
        lake = Lake(str(folder / "lake"))
        generate(lake, videos, WORDS_PER_VIDEO)
        return _measured(Syncer.of(lake, settings), folder, rounds=3 if full else 1)
    finally:
        shutil.rmtree(folder)


def _measured(syncer: Syncer, folder: Path, rounds: int) -> Table:
    connection = connect(syncer.lake)
    listed = folder / "documents.ndjson"
    count = _write(connection, listed)
    made: list[str] = []
    ours, bare, grown = [], [], []
    with reached("the documents of the bench"):
        try:
            _bare(syncer, listed, made, limit=5000)  # the server warms up
            for _ in range(rounds):
                bare.append(count / _bare(syncer, listed, made))
                seconds, growth = _ours(syncer, connection, made)
                ours.append(count / seconds)
                grown.append(growth)
            index = made[-1]
            ready(syncer.client, index)
            megabytes = _megabytes(syncer, index, connection)
            write_state(syncer.client, index, 0, "", ["en"])
            latencies = _latencies(connection, syncer, index)
        finally:
            for index in made:
                syncer.client.indices.delete(index=index, ignore_unavailable=True)
    table = Table(
        "search",
        "Elasticsearch beside the lake",
        ("", "nightscribe", "bare `streaming_bulk`"),
        settings=f"{count:,} documents of made-up ten-minute videos, 1 shard, {rounds} rounds in turns, medians; "
        f"{QUESTIONS} questions of each kind, drawn from the passages, ten videos and three moments an answer, client and "
        "server on the same machine",
    )
    table.add("documents a second into an index", f"{statistics.median(ours):,.0f}", f"{statistics.median(bare):,.0f}")
    table.add("MB that the process grows by from a fifth of them to the last", f"{max(grown):,.0f}", "")
    table.add("MB of the index for 1,000 hours of media", f"{megabytes:,.0f}", "")
    table.add("**milliseconds to an answer, median / 95th percentile**", "**Elasticsearch**", "**DuckDB**")
    for kind, (elastic, duck) in latencies.items():
        table.add(kind, _both(elastic), _both(duck))
    table.figures = {
        "documents": count,
        "ours_per_s": ours,
        "bare_per_s": bare,
        "grown_mb": grown,
        "mb_for_1000_hours": megabytes,
        "latency_ms": {kind: {"elasticsearch": e, "duckdb": d} for kind, (e, d) in latencies.items()},
    }
    return table


def _megabytes(syncer: Syncer, index: str, connection: duckdb.DuckDBPyConnection) -> float:
    """Of one copy of an index, for each 1,000 hours of its media."""
    syncer.client.indices.flush(index=index, force=True, wait_if_ongoing=True)
    size = syncer.client.indices.stats(index=index, metric="store")["_all"]["primaries"]["store"]["size_in_bytes"]
    (hours,) = connection.execute("SELECT sum(duration_ms) / 3_600_000 FROM videos").fetchone() or (1,)
    return float(size) / 1e6 / float(hours) * 1000


def _both(pair: tuple[float, float]) -> str:
    return f"{pair[0]:.0f} / {pair[1]:.0f}"


def _write(connection: duckdb.DuckDBPyConnection, path: Path) -> int:
    """The same documents as lines of JSON, for the bare upload; how many there are."""
    count = 0
    with path.open("w", encoding="utf-8") as handle:
        for chunk in chunks(current(connection), most_videos=CHUNK_VIDEOS):
            for video, whole, passages in documents(connection, chunk):
                for document in (*passages, whole):
                    number = document.get("part_no")
                    id_ = video.video_id if number is None else part_id(video.video_id, number)
                    handle.write(json.dumps({"_id": id_, "_source": document}) + "\n")
                    count += 1
    return count


def _bare(syncer: Syncer, path: Path, made: list[str], limit: int | None = None) -> float:
    index = create_index(syncer.client, syncer.names, syncer.lake_id, 1)
    made.append(index)

    def actions() -> Iterator[dict[str, Any]]:
        with path.open(encoding="utf-8") as handle:
            for number, line in enumerate(handle):
                if number == limit:
                    return
                yield {"_index": index, **json.loads(line)}

    started = time.perf_counter()
    for _ in streaming_bulk(syncer.client, actions()):
        pass
    return time.perf_counter() - started


def _ours(syncer: Syncer, connection: duckdb.DuckDBPyConnection, made: list[str]) -> tuple[float, float]:
    """Seconds from the lake to the index, and by how many MB the process grew after the first fifth of that time."""
    index = create_index(syncer.client, syncer.names, syncer.lake_id, 1)
    made.append(index)
    process, sizes, stop = psutil.Process(), [], threading.Event()

    def watch() -> None:
        while not stop.wait(0.2):
            sizes.append(process.memory_info().rss / 2**20)

    watching = threading.Thread(target=watch)
    watching.start()
    started = time.perf_counter()
    pushed = push(Target(syncer.client, index), connection, current(connection), announced=False)
    seconds = time.perf_counter() - started
    stop.set()
    watching.join()
    assert not pushed.failed
    return seconds, max(sizes[len(sizes) // 5 :]) - max(sizes[: len(sizes) // 5 + 1])


def _latencies(
    connection: duckdb.DuckDBPyConnection, syncer: Syncer, index: str
) -> dict[str, tuple[tuple[float, float], tuple[float, float]]]:
    lake = LakeSearcher(connection)
    out = {}
    with Searcher(Connection.of(syncer.settings), index, syncer.lake_id) as elastic:
        for kind, queries in _questions(connection).items():
            timed = [_timed(engine.search, queries) for engine in (elastic, lake)]
            out[kind] = (timed[0], timed[1])
    return out


def _timed(search: Callable[[Query], dict[str, Any]], queries: list[Query]) -> tuple[float, float]:
    for query in queries[:10]:
        search(query)
    spent = []
    for query in queries:
        started = time.perf_counter()
        found = search(query)
        spent.append((time.perf_counter() - started) * 1000)
        assert found["total_videos"], query.text
    spent.sort()
    return statistics.median(spent), spent[int(len(spent) * 0.95)]


def _questions(connection: duckdb.DuckDBPyConnection) -> dict[str, list[Query]]:
    texts = connection.execute(
        "SELECT text FROM passages ORDER BY hash(video_id || passage_no) LIMIT $n", {"n": QUESTIONS}
    ).fetchall()
    chance = random.Random(0)
    questions: dict[str, list[Query]] = {
        "one word": [], "two words": [], "phrase of three words": [], "beginning of a word": [], "a word with a typo": []
    }  # fmt: skip
    for (text,) in texts:
        words = text.split()
        at = chance.randrange(len(words) - 3)
        long = max(words, key=len)
        mistyped = long[:2] + long[3:]
        questions["one word"].append(make_query(words[at]))
        questions["two words"].append(make_query(f"{words[at]} {words[at + 2]}"))
        questions["phrase of three words"].append(make_query(" ".join(words[at : at + 3]), phrase=True))
        questions["beginning of a word"].append(make_query(f"{long[: max(2, len(long) - 2)]}*"))
        questions["a word with a typo"].append(make_query(mistyped, typos=True))
    return questions
