"""Queries over a large generated lake: words by their frequency in English, videos of a hundred words."""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
from deltalake import DeltaTable, write_deltalake

from nightscribe.bench.table import Table
from tasks.lake.schema import STATISTICS, arrow_schema
from tasks.lake.store import Lake, writer_properties
from tasks.lake.views import Snapshot, connect
from tasks.lake.vocabulary import add_words
from tasks.passages import CARRIED_WORDS, OWN_WORDS
from tasks.search.duck import search
from tasks.search.query import make_query

WORDS_PER_VIDEO = 100
BYTES_PER_MILLION = 25_000_000  # of disk, with room to spare; a size that does not fit is left out
CHUNK_VIDEOS = 50_000
PHRASE = "interest rates"
ONE = "chancellor"
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
            generate(lake, millions * 1_000_000 // WORDS_PER_VIDEO)
            columns.append(_times(lake))
        finally:
            shutil.rmtree(folder)
    for name in columns[0]:
        table.add(name, *(f"{column[name]:.2f}" for column in columns))
    table.figures = {f"{millions}M": column for millions, column in zip(sizes, columns, strict=True)}
    return table


def _times(lake: Lake) -> dict[str, float]:
    started = time.perf_counter()
    connection = connect(lake, Snapshot.of(lake))
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


def generate(lake: Lake, videos: int) -> None:
    """Fill a lake with made-up videos, by the chunk and sorted, as `maintain` leaves one."""
    lake.create()
    connection = duckdb.connect()
    connection.execute("SELECT setseed(0.5)")
    words = _vocabulary()
    connection.execute("CREATE TABLE vocabulary AS SELECT unnest($words) AS word, unnest(range($n)) AS rank",
                       {"words": words, "n": len(words)})  # fmt: skip
    add_words(lake, [("en", {*words, *PHRASE.split(), ONE})], batch_id="bench")
    for first in range(0, videos, CHUNK_VIDEOS):
        _chunk(connection, lake, first, min(videos, first + CHUNK_VIDEOS))


def _vocabulary() -> list[str]:
    """Words in the order of the list that ships with the demo language model; the planted ones left out."""
    from tasks.settings import REPO

    listed = (REPO / "data/models/lm-demo/unigrams.txt").read_text(encoding="utf-8").split()
    return [word for word in listed[:20_000] if word not in {*PHRASE.split(), ONE}]


# The rank of a word is drawn so that its frequency falls as 1 / rank (Zipf): n ** uniform is log-uniform.
_WORDS = f"""
CREATE OR REPLACE TEMP TABLE w AS
SELECT substr(sha256(v::VARCHAR), 1, 20) AS video_id, 1000 + v AS generation, i::INT AS word_no,
    CASE WHEN v % 1000 = 7 AND i = 40 THEN 'interest' WHEN v % 1000 = 7 AND i = 41 THEN 'rates'
         WHEN v % 1000 = 8 AND i = 9 THEN '{ONE}' ELSE vocabulary.word END AS word,
    400 * i AS start_ms, 400 * i + 350 AS end_ms, (0.5 + random() / 2)::FLOAT AS confidence, (i // 10)::INT AS cue_no
FROM (SELECT v, i, floor(pow((SELECT count(*) FROM vocabulary), random()))::BIGINT - 1 AS drawn
      FROM range($first, $last) a(v), range({WORDS_PER_VIDEO}) b(i)) JOIN vocabulary ON rank = greatest(drawn, 0)
"""
_TABLES = {
    "words": "SELECT * FROM w ORDER BY video_id, word_no",
    "cues": "SELECT video_id, generation, cue_no, min(start_ms) AS start_ms, max(end_ms) AS end_ms, "
    "string_agg(word, ' ' ORDER BY word_no) AS text, avg(confidence)::FLOAT AS confidence FROM w GROUP BY ALL ORDER BY video_id, cue_no",
    "passages": f"""
SELECT video_id, generation, p AS passage_no, min(start_ms) FILTER (own) AS start_ms, max(end_ms) FILTER (own) AS end_ms,
    min(word_no) AS first_carried, min(word_no) FILTER (own) AS first_word, max(word_no) FILTER (own) AS last_word,
    ' ' || string_agg(word, ' ' ORDER BY word_no) FILTER (own) || ' ' AS text,
    coalesce(' ' || string_agg(word, ' ' ORDER BY word_no) FILTER (NOT own) || ' ', ' ') AS carried
FROM (SELECT *, word_no // {OWN_WORDS} = p AS own FROM w JOIN range({-(-WORDS_PER_VIDEO // OWN_WORDS)}) r(p)
      ON word_no BETWEEN p * {OWN_WORDS} - {CARRIED_WORDS} AND (p + 1) * {OWN_WORDS} - 1)
GROUP BY ALL ORDER BY video_id, passage_no""",
    "topics": "SELECT DISTINCT video_id, generation, 'video' AS scope, 0::BIGINT AS start_ms, 40000::BIGINT AS end_ms, 1::INT AS rank, "
    "['business', 'entertainment', 'politics', 'sport', 'tech'][1 + (hash(video_id) % 5)::INT] AS label, 0.9::FLOAT AS score, "
    "'bench' AS model FROM w ORDER BY video_id",
    "videos": f"SELECT DISTINCT video_id, generation, 'bench' AS bucket, video_id || '.mp4' AS key, 'A talk' AS title, "
    f"40000::BIGINT AS duration_ms, 'en' AS language, 'indexed' AS status, {WORDS_PER_VIDEO}::INT AS n_words, "
    f"{-(-WORDS_PER_VIDEO // OWN_WORDS)}::INT AS n_passages, 10::INT AS n_cues, "
    "38000::BIGINT AS speech_ms, 0.75::DOUBLE AS confidence, TIMESTAMPTZ '2015-01-01 00:00:00+00' "
    "+ to_days((hash(video_id) % 4000)::INT) AS published_at FROM w ORDER BY video_id",
}  # fmt: skip


def _chunk(connection: duckdb.DuckDBPyConnection, lake: Lake, first: int, last: int) -> None:
    connection.execute(_WORDS, {"first": first, "last": last})
    for name, sql in _TABLES.items():
        schema = arrow_schema(name)
        columns = {column[0] for column in connection.execute(f"DESCRIBE {sql}").fetchall()}
        listed = ", ".join(f.name if f.name in columns else f"NULL AS {f.name}" for f in schema)
        rows: Any = connection.sql(f"SELECT {listed} FROM ({sql})").to_arrow_table()
        write_deltalake(lake.path(name), rows.cast(schema), mode="append", writer_properties=writer_properties(name))
    assert (
        DeltaTable(lake.path("words")).metadata().configuration["delta.dataSkippingStatsColumns"] == STATISTICS["words"]
    )
