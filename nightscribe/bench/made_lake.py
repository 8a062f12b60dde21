"""A lake of made-up speech: words by their frequency in English, with a phrase and a word planted in one video of a thousand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import duckdb
from deltalake import DeltaTable, write_deltalake

from tasks.lake.create import create_lake
from tasks.lake.schema import PARTITIONED, STATISTICS, arrow_schema
from tasks.lake.store import Lake, writer_properties
from tasks.lake.vocabulary import add_words
from tasks.stages.base import DECODED
from tasks.stages.registry import STAGES
from tasks.text.passages import CARRIED_WORDS, OWN_WORDS

CHUNK_WORDS = 5_000_000
PHRASE = "interest rates"
ONE = "chancellor"


def generate(lake: Lake, videos: int, words_per_video: int, *, generations: int = 1) -> None:
    """Fill a lake with made-up videos, by the chunk and sorted, as `maintain` leaves one. Of several `generations` the last is shown."""
    size = max(1, CHUNK_WORDS // words_per_video)
    create_lake(lake)
    connection = duckdb.connect()
    connection.execute("SELECT setseed(0.5)")
    words = _vocabulary()
    connection.execute("CREATE TABLE vocabulary AS SELECT unnest($words) AS word, unnest(range($n)) AS rank",
                       {"words": words, "n": len(words)})  # fmt: skip
    add_words(lake, [("en", {*words, *PHRASE.split(), ONE})], batch_id="bench")
    for number in range(generations):
        for first in range(0, videos, size):
            _chunk(connection, lake, first, min(videos, first + size), words_per_video, number)


def _vocabulary() -> list[str]:
    """Words in the order of the list that ships with the demo language model; the planted ones left out."""
    from tasks.settings import REPO

    listed = (REPO / "data/models/lm-demo/unigrams.txt").read_text(encoding="utf-8").split()
    return [word for word in listed[:20_000] if word not in {*PHRASE.split(), ONE}]


def _words(n: int, number: int) -> str:
    # The rank of a word is drawn so that its frequency falls as 1 / rank (Zipf): n ** uniform is log-uniform.
    return f"""
CREATE OR REPLACE TEMP TABLE w AS
SELECT substr(sha256(v::VARCHAR), 1, 20) AS video_id, {number}000000000 + 1000 + v AS generation, i::INT AS word_no,
    CASE WHEN v % 1000 = 7 AND i = 40 THEN 'interest' WHEN v % 1000 = 7 AND i = 41 THEN 'rates'
         WHEN v % 1000 = 8 AND i = 9 THEN '{ONE}' ELSE vocabulary.word END AS word,
    400 * i AS start_ms, 400 * i + 350 AS end_ms, (0.5 + random() / 2)::FLOAT AS confidence, (i // 10)::INT AS cue_no
FROM (SELECT v, i, floor(pow((SELECT count(*) FROM vocabulary), random()))::BIGINT - 1 AS drawn
      FROM range($first, $last) a(v), range({n}) b(i)) JOIN vocabulary ON rank = greatest(drawn, 0)
"""


def _tables(n: int) -> dict[str, str]:
    passages = -(-n // OWN_WORDS)
    return {
        "words": "SELECT * FROM w ORDER BY video_id, word_no",
        "cues": "SELECT video_id, generation, cue_no, min(start_ms) AS start_ms, max(end_ms) AS end_ms, "
        "string_agg(word, ' ' ORDER BY word_no) AS text, avg(confidence)::FLOAT AS confidence, "
        "min(word_no) AS first_word, max(word_no) AS last_word FROM w GROUP BY ALL ORDER BY video_id, cue_no",
        "passages": f"""
SELECT video_id, generation, p AS passage_no, min(start_ms) FILTER (own) AS start_ms, max(end_ms) FILTER (own) AS end_ms,
    min(word_no) AS first_carried, min(word_no) FILTER (own) AS first_word, max(word_no) FILTER (own) AS last_word,
    ' ' || string_agg(word, ' ' ORDER BY word_no) FILTER (own) || ' ' AS text,
    coalesce(' ' || string_agg(word, ' ' ORDER BY word_no) FILTER (NOT own) || ' ', ' ') AS carried
FROM (SELECT *, word_no // {OWN_WORDS} = p AS own FROM w JOIN range({passages}) r(p)
      ON word_no BETWEEN p * {OWN_WORDS} - {CARRIED_WORDS} AND (p + 1) * {OWN_WORDS} - 1)
GROUP BY ALL ORDER BY video_id, passage_no""",
        "topics": "SELECT DISTINCT video_id, generation, 'video' AS scope, 0::BIGINT AS start_ms, 40000::BIGINT AS end_ms, 1::INT AS rank, "
        "['business', 'entertainment', 'politics', 'sport', 'tech'][1 + (hash(video_id) % 5)::INT] AS label, 0.9::FLOAT AS score, "
        "'bench' AS model FROM w ORDER BY video_id",
        "stage_runs": runs_of(
            "(SELECT DISTINCT video_id, generation FROM w)",
            {},
            {"words": n, "cues": -(-n // 10), "passages": passages, "topics": 1},
        ),
        "videos": f"SELECT DISTINCT video_id, generation, 'bench' AS bucket, video_id || '.mp4' AS key, 'A talk' AS title, "
        f"{400 * n}::BIGINT AS duration_ms, 'en' AS language, 'indexed' AS status, {n}::INT AS n_words, "
        f"{380 * n}::BIGINT AS speech_ms, 0.75::DOUBLE AS confidence, TIMESTAMPTZ '2015-01-01 00:00:00+00' "
        "+ to_days((hash(video_id) % 4000)::INT) AS published_at FROM w ORDER BY video_id",
    }  # fmt: skip


def runs_of(videos: str, recipes: Mapping[str, str], rows: Mapping[str, int]) -> str:
    """SQL of the stage runs of videos, each with so many rows."""
    stages = ", ".join(f"('{name}', '{recipes.get(name, '')}', {rows.get(name, 0)})" for name in STAGES.names)
    cases = []
    for stage in STAGES:
        if made := [f"'{one}': generation" for one in stage.inputs if one not in DECODED]:
            cases.append(f"WHEN '{stage.name}' THEN MAP {{{', '.join(made)}}}")
    return (
        "SELECT video_id, stage, 'visit' AS occasion, generation, generation AS object_generation, recipe, "
        f"CASE stage {' '.join(cases)} ELSE MAP {{}}::MAP(VARCHAR, BIGINT) END AS inputs, 'done' AS status, rows "
        f"FROM {videos} CROSS JOIN (VALUES {stages}) s(stage, recipe, rows) ORDER BY stage, video_id"
    )


def _chunk(connection: duckdb.DuckDBPyConnection, lake: Lake, first: int, last: int, n: int, number: int) -> None:
    connection.execute(_words(n, number), {"first": first, "last": last})
    for name, sql in _tables(n).items():
        append(lake, name, connection, sql)
    assert (
        DeltaTable(lake.path("words")).metadata().configuration["delta.dataSkippingStatsColumns"] == STATISTICS["words"]
    )


def append(lake: Lake, name: str, connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """The rows of a query into a table; columns that it has not are null."""
    schema = arrow_schema(name)
    columns = {column[0] for column in connection.execute(f"DESCRIBE {sql}").fetchall()}
    listed = ", ".join(f.name if f.name in columns else f"NULL AS {f.name}" for f in schema)
    rows: Any = connection.sql(f"SELECT {listed} FROM ({sql})").to_arrow_table()
    write_deltalake(
        lake.path(name),
        rows.cast(schema),
        mode="append",
        writer_properties=writer_properties(name),
        partition_by=PARTITIONED.get(name),
    )
