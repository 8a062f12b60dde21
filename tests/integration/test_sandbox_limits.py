"""SQL by strangers may take so many rows, bytes, seconds and so much memory, and no more."""

from __future__ import annotations

import time

from asking import ask, contents, filled, refused  # noqa: F401


def test_a_result_is_cut_at_the_limit_and_says_so(filled):
    answer = ask(filled, "SELECT range AS n FROM range(10) ORDER BY n DESC", rows=3)
    assert (answer.rows.to_pylist(), answer.cut) == ([{"n": 9}, {"n": 8}, {"n": 7}], True)


def test_a_result_as_long_as_the_limit_is_whole(filled):
    answer = ask(filled, "SELECT * FROM range(5000)", rows=5000)
    assert (answer.rows.num_rows, answer.cut) == (5000, False)


def test_a_result_of_a_billion_rows_is_cut_at_once(filled):
    started = time.monotonic()
    answer = ask(filled, "SELECT * FROM range(1000000000)", rows=3000)
    assert (answer.rows.num_rows, answer.cut) == (3000, True)
    assert answer.rows.column(0)[2999].as_py() == 2999
    assert time.monotonic() - started < 15


def test_a_cross_join_of_ten_billion_rows_is_cut_too(filled):
    answer = ask(filled, "SELECT a.range + b.range AS s FROM range(100000) a, range(100000) b", rows=10)
    assert (answer.rows.num_rows, answer.cut) == (10, True)


def test_a_larger_answer_than_may_be_held_is_refused(filled):
    many = "SELECT repeat('x', 2000) FROM range(200000)"
    message = refused(filled, many, rows=200_000, memory_mb=256, answer_mb=64)
    assert message == "The answer is larger than 64 MB."
    # Without a limit of its own an answer has that of the query, and which of the two is met first is chance.
    assert "256 MB" in refused(filled, many, rows=200_000, memory_mb=256)


def test_a_cross_join_that_counts_is_stopped(filled):
    message = refused(filled, "SELECT count(*) FROM range(100000) a, range(100000) b, range(100000) c", seconds=0.1)
    assert message == "The query took longer than 0.1 seconds and was stopped."


def test_endless_recursion_is_stopped(filled):
    started = time.monotonic()
    endless = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT 1 FROM r) SELECT count(*) FROM r"
    assert refused(filled, endless, seconds=0.1) == "The query took longer than 0.1 seconds and was stopped."
    assert time.monotonic() - started < 15


def test_a_string_of_four_gigabytes_is_stopped(filled):
    message = refused(filled, "SELECT repeat('x', 4000000000)", memory_mb=256)
    assert message == "The query needed more than 256 MB of memory and was stopped."


def test_a_list_of_a_billion_numbers_is_stopped(filled):
    assert "more than 256 MB of memory" in refused(filled, "SELECT list(range) FROM range(1000000000)", memory_mb=256)


def test_a_sort_may_not_spill_to_disk(filled, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = contents(tmp_path)
    message = refused(filled, "SELECT range, md5(range::TEXT) AS h FROM range(20000000) ORDER BY h", memory_mb=256)
    assert "more than 256 MB of memory" in message
    assert contents(tmp_path) == before


def test_brackets_without_end_are_refused(filled):
    assert "expression depth" in refused(filled, "SELECT " + "(" * 3000 + "1" + ")" * 3000)


def test_an_error_message_made_by_the_query_is_kept_short(filled):
    assert len(refused(filled, "SELECT error(repeat('x', 1000000))")) <= 4000
