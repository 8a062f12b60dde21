"""Columns of `videos` and `words` that take a join are there for whoever names them, in the sandbox too."""

from __future__ import annotations

import duckdb
import pytest

from tasks.lake.current import LEAN, WHOLE, fit
from tasks.lake.views import connect
from tasks.sandbox import run_query

LIMITS = {"seconds": 20, "memory_mb": 512, "rows": 100}


@pytest.fixture
def spoken_lake(lake, say):
    say("hello there friends", key="a.mp4")
    return lake


def kinds(connection: duckdb.DuckDBPyConnection, sql: str) -> dict[str, bool]:
    """By view, whether it has all of its columns for a query."""
    fit(connection, sql)
    return {
        view: "cue_no" in columns or "n_cues" in columns
        for view in LEAN
        if (columns := {row[0] for row in connection.execute(f"DESCRIBE {view}").fetchall()})
    }


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM words", "FROM words", "TABLE words", "SELECT w.* FROM words w", "SELECT COLUMNS('c.*') FROM words",
        "SELECT word FROM (FROM words)", "SELECT 1 UNION ALL FROM words", "WITH w AS (FROM words) SELECT w.word FROM w",
        "SELECT column_name FROM information_schema.columns WHERE table_name = 'words'", "SELECT 2 * start_ms FROM words",
        "\n  from words select word",
    ],
)  # fmt: skip
def test_a_query_that_may_mean_every_column_has_every_column(spoken_lake, sql):
    assert all(kinds(connect(spoken_lake), sql).values())


@pytest.mark.parametrize(
    ("sql", "whole"),
    [
        ("SELECT word FROM words", set()),
        ("SELECT count(*), COUNT( * ) FROM words JOIN videos USING (video_id)", set()),
        ("SELECT CUE_NO FROM words", {"words", "words_all"}),
        ("SELECT word FROM words ORDER BY w.cue_no", {"words", "words_all"}),
        ("SELECT key, n_passages FROM videos", {"videos", "videos_all"}),
        ("SELECT key, decode_recipe, cue_no FROM videos JOIN words USING (video_id)", set(LEAN)),
    ],
)
def test_a_query_has_the_columns_that_it_names(spoken_lake, sql, whole):
    assert {view for view, there in kinds(connect(spoken_lake, lean=True), sql).items() if there} == whole


def test_both_kinds_of_a_view_have_the_same_rows(spoken_lake):
    connection = connect(spoken_lake)
    for view in LEAN:
        lean, whole = (connection.execute(f"FROM {names[view]}").fetchall() for names in (LEAN, WHOLE))
        assert len(lean) == len(whole) > 0
    columns = [column[0] for column in connection.execute(f"FROM {LEAN['words']}").description or ()]
    assert connection.execute(f"SELECT {', '.join(columns)} FROM {LEAN['words']} ORDER BY ALL").fetchall() == (
        connection.execute(f"SELECT {', '.join(columns)} FROM {WHOLE['words']} ORDER BY ALL").fetchall()
    )


def test_the_sandbox_has_them(spoken_lake):
    for sql, expected in (
        ("SELECT word, cue_no FROM words WHERE word_no = 0", [{"word": "hello", "cue_no": 0}]),
        ("SELECT n_cues, topics_recipe FROM videos", [{"n_cues": 1, "topics_recipe": "t"}]),
        ("SELECT stage, status FROM stage_runs WHERE stage = 'words'", [{"stage": "words", "status": "done"}]),
    ):
        assert run_query(spoken_lake, sql, **LIMITS).rows.to_pylist() == expected
