"""A lake that knows the whole made-up bucket of `bench scan`."""

from __future__ import annotations

import duckdb

from nightscribe.bench.listing import BUCKET, key_of
from nightscribe.bench.made_lake import append, runs_of
from tasks.lake.create import create_lake
from tasks.lake.schema import arrow_schema
from tasks.lake.store import Lake
from tasks.models.catalog import find_set
from tasks.settings import Settings
from tasks.stages.recipes import recipes

CHUNK = 100_000


def fill(uri: str, total: int) -> None:
    """Rows of `videos` and of stage runs for every object of the made-up bucket, made by today's recipes."""
    made = recipes(find_set(Settings()), Settings())
    lake = Lake(uri)
    create_lake(lake)
    connection = duckdb.connect()
    schema = arrow_schema("videos")
    named = {
        "video_id": f"substr(sha256('{BUCKET}' || chr(0) || key), 1, 20)", "generation": "1700000000000000 + i", "bucket": f"'{BUCKET}'",
        "bucket_uri": f"'{BUCKET}'", "key": "key", "fingerprint": "md5(i::VARCHAR)", "size_bytes": "100000000 + i",
        "title": "'A talk number ' || i", "duration_ms": "360000", "status": "'indexed'", "attempts": "1", "n_words": "0",
        "indexed_at": "TIMESTAMPTZ '2024-02-01 00:00:00+00'",
    }  # fmt: skip
    columns = ", ".join(f"{named.get(field.name, 'NULL')} AS {field.name}" for field in schema)
    for first in range(0, total, CHUNK):
        numbers = list(range(first, min(total, first + CHUNK)))
        keys = [key_of(i) for i in numbers]
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE made AS SELECT {columns} FROM (SELECT unnest($i) AS i, unnest($keys) AS key) "
            "ORDER BY video_id",
            {"i": numbers, "keys": keys},
        )
        append(lake, "stage_runs", connection, runs_of("made", made.hashes, {}))
        append(lake, "videos", connection, "FROM made")
