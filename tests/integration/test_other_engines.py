"""Polars and Spark open the lake's tables as they are, and see what DuckDB sees. Skipped where they are not installed."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import replace

import pytest
from conftest import REPO

from tasks.lake.commit import commit
from tasks.lake.store import Lake
from tasks.lake.views import connect
from tasks.records import Outcome, Shared

VIDEO = b"a.mp4".hex()[:20].ljust(20, "0")
PAGE = (REPO / "docs" / "operations.md").read_text(encoding="utf-8")


@pytest.fixture
def spoken_lake(lake, say, result, tmp_path):
    say("hello there", key="a.mp4")
    say("something else", key="b.mp4")
    generation = say("hello again friends", key="a.mp4")
    copy = result("", video_id="c" * 20, key="copy.mp4")
    rows = {"words": 3, "cues": 1, "passages": 1}
    shared = {
        name: Outcome(shared=Shared(VIDEO, generation, n, "done", (VIDEO, generation))) for name, n in rows.items()
    }
    commit(lake, [replace(copy, outcomes={**copy.outcomes, **shared}, spoken=(3, 0.9))], run_id="r", device="cpu")
    # Polars and Spark's SQL do not find every path that needs escaping.
    return Lake(str(shutil.copytree(lake.uri, tmp_path / "plain")))


def expected(lake):
    return connect(lake).execute("SELECT video_id, generation, word FROM words ORDER BY ALL").fetchall()


def test_polars_sees_the_current_words(spoken_lake):
    pl = pytest.importorskip("polars")
    [code] = re.findall(r"(    import polars as pl\n.*?)\n\nIn Spark", PAGE, re.DOTALL)
    code = re.sub(r"^    ", "", code, flags=re.MULTILINE).replace("s3://archive-lake/lake", spoken_lake.uri)
    names = {}
    exec(code, names)
    rows = names["words"].select("video_id", "generation", "word").collect()
    assert sorted(rows.rows()) == expected(spoken_lake)
    assert rows.schema["generation"] == pl.Int64


# Spark leaves the socket to its Java process to the garbage collector.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.long
def test_spark_sees_the_current_words(spoken_lake, tmp_path):
    pytest.importorskip("pyspark")
    if not shutil.which("java") and "JAVA_HOME" not in os.environ:
        pytest.skip("no Java")
    delta = pytest.importorskip("delta", reason="the Python package delta-spark is not installed")
    from pyspark.sql import SparkSession

    builder = (
        SparkSession.builder.master("local[1]")
        .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
        .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.warehouse.dir", str(tmp_path / "warehouse"))
    )
    session = delta.configure_spark_with_delta_pip(builder).getOrCreate()
    try:
        block = re.search(r"    CREATE TEMPORARY VIEW videos.*?CREATE.*?(?=\n\nOf `cues`)", PAGE, re.DOTALL)[0]
        for statement in block.replace("s3a://archive-lake/lake", spoken_lake.uri).split(";"):
            if statement.strip():
                session.sql(statement)
        rows = session.sql("SELECT video_id, generation, word FROM words").collect()
        assert sorted(tuple(row) for row in rows) == expected(spoken_lake)
    finally:
        session.stop()
