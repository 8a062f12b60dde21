"""Columns of `videos` and `words` that take a join are there for whoever names them, in the sandbox too."""

from __future__ import annotations

import pytest

from tasks.lake.current import LEAN, WHOLE, plain
from tasks.lake.sandbox import run_query
from tasks.lake.views import connect

LIMITS = {"seconds": 20, "memory_mb": 512, "rows": 100}


@pytest.fixture
def spoken_lake(lake, say):
    say("hello there friends", key="a.mp4")
    return lake


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM words", "FROM words", "TABLE words", "SELECT w.* FROM words w", "SELECT COLUMNS('c.*') FROM words",
        "SELECT word FROM (FROM words)", "SELECT word FROM words UNION ALL BY NAME FROM words",
        "WITH w AS (FROM words) SELECT w.word FROM w",
        "SELECT column_name FROM information_schema.columns WHERE table_name = 'words'", "SELECT 2 * start_ms FROM words",
        "\n  from words select word",
    ],
)  # fmt: skip
def test_a_query_that_may_mean_every_column_has_every_column(spoken_lake, sql):
    assert not plain(sql)
    run_query(spoken_lake, sql, **LIMITS)


@pytest.mark.parametrize(
    ("sql", "short"),
    [
        ("SELECT word FROM words", True),
        ("SELECT count(*), COUNT( * ) FROM words JOIN videos USING (video_id)", True),
        ("SELECT stage, count(*) FROM stage_runs GROUP BY stage", True),
        ("SELECT CUE_NO FROM words", False),
        ("SELECT word FROM words w ORDER BY w.cue_no", False),
        ("SELECT key, n_passages FROM videos", False),
        ("SELECT word FROM words_all", False),
    ],
)
def test_a_query_that_names_its_columns_gets_no_more_than_it_needs(spoken_lake, sql, short):
    assert plain(sql) == short
    run_query(spoken_lake, sql, **LIMITS)


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
