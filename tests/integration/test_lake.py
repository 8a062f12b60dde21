"""Rows go in whole, once, and in the right order; views show what is current and what was."""

from __future__ import annotations

from pathlib import Path

import pytest

from tasks.lake.check import check
from tasks.lake.commit import commit, new_generation
from tasks.lake.maintain import compact, expire, maintain, vacuum
from tasks.lake.store import Lake
from tasks.lake.views import connect
from tasks.search.answer import answer
from tasks.search.duck import TABLES
from tasks.settings import Settings


def rows(lake, sql):
    return connect(lake).execute(sql).fetchall()


def test_a_committed_video_is_in_every_view(lake, result):
    commit(lake, [result("hello there world", topic="tech")], run_id="r", device="cpu")
    assert rows(lake, "SELECT key, status, n_words, n_cues FROM videos") == [("talk.mp4", "indexed", 3, 1)]
    assert rows(lake, "SELECT word, start_ms, cue_no FROM words ORDER BY word_no") == [
        ("hello", 0, 0),
        ("there", 400, 0),
        ("world", 800, 0),
    ]
    assert rows(lake, "SELECT text FROM transcripts") == [(" hello there world ",)]
    assert rows(lake, "SELECT label, rank FROM topics") == [("tech", 1)]
    assert check(lake) == []


def test_an_empty_lake_has_all_views_and_no_rows(lake):
    for view in ("videos", "words", "cues", "transcripts", "topics", "runs", "videos_all", "words_all"):
        assert rows(lake, f"SELECT count(*) FROM {view}") == [(0,)], view


def test_rows_without_their_videos_row_are_invisible_and_swept_after_the_grace(lake, result):
    from tasks.lake.commit import content_rows

    orphan = result("lost words")
    lake.append("words", content_rows(orphan)["words"], batch_id="killed")
    assert rows(lake, "SELECT count(*) FROM words") == [(0,)]
    assert rows(lake, "SELECT count(*) FROM words_all") == [(0,)]
    done = maintain(lake, keep_generations=3, grace_h=24)
    assert done.swept_rows["words"] == 2, "generation 0 is older than any grace"
    assert rows(lake, "SELECT count(*) FROM _words") == [(0,)]


def test_young_orphans_are_left_to_their_writer(lake, result):
    from dataclasses import replace

    from tasks.lake.commit import content_rows

    young = replace(result("half done"), generation=new_generation(0, __import__("time").time_ns() // 1_000_000))
    lake.append("words", content_rows(young)["words"], batch_id="running")
    assert maintain(lake, keep_generations=3, grace_h=24).swept_rows["words"] == 0
    assert rows(lake, "SELECT count(*) FROM _words") == [(2,)]


def test_the_same_batch_is_appended_once_however_often_it_is_tried(lake):
    row = {"video_id": "a", "generation": 1, "word_no": 0, "word": "once"}
    for _ in range(3):
        lake.append("words", [row], batch_id="same")
    assert rows(lake, "SELECT count(*) FROM _words") == [(1,)]


def test_history_answers_for_old_generations_until_they_expire(lake, result):
    last = 0
    for text in ("first version", "second version", "third version"):
        last = commit(lake, [result(text, last_generation=last)], run_id="r", device="cpu")[0].generation
    assert rows(lake, "SELECT text FROM transcripts") == [(" third version ",)]
    assert len(rows(lake, "SELECT * FROM transcripts_all")) == 3
    assert expire(lake, keep=2) == 1
    assert sorted(rows(lake, "SELECT text FROM transcripts_all")) == [(" second version ",), (" third version ",)]
    assert check(lake) == []


def test_generations_rise_even_when_the_clock_goes_back():
    first = new_generation(0, 2_000)
    assert new_generation(first, 1_000) > first
    assert first < 2**53


@pytest.mark.broken_lake
def test_check_finds_a_missing_word(lake, result):
    commit(lake, [result("one two three")], run_id="r", device="cpu")
    lake.table("words").delete("word_no = 1")
    assert any("says 3 words, there are 2" in problem for problem in check(lake))


def test_maintain_compacts_without_changing_an_answer(lake, result):
    for n in range(10):
        commit(lake, [result(f"video number {n}", video_id=f"{n:020d}", key=f"{n}.mp4")], run_id="r", device="cpu")
    before = rows(lake, "SELECT * FROM words ORDER BY video_id, word_no")
    done = maintain(lake, keep_generations=3, grace_h=0)
    assert done.compacted["words"] >= 8
    assert len(lake.files("words")) == 1
    assert rows(lake, "SELECT * FROM words ORDER BY video_id, word_no") == before
    assert done.problems == []


def test_of_a_large_table_only_small_files_are_joined(lake, say, monkeypatch):
    """Sorting read and wrote the whole table, in memory that grew with it."""
    for n in range(9):
        say(" ".join(f"word{n}{i}" for i in range(200)), f"{n}.mp4")
    assert compact(lake, "words") == 9
    (large,) = lake.files("words")
    monkeypatch.setattr("tasks.lake.maintain.SORTED_BYTES", 0)
    monkeypatch.setattr("tasks.lake.maintain.TARGET_BYTES", Path(large).stat().st_size)
    for n in range(9, 30):
        say("hello", f"{n}.mp4")
    assert compact(lake, "words") == 21
    assert large in lake.files("words"), "it has the size that files should have"
    assert connect(lake).execute("SELECT count(*) FROM words").fetchone() == (9 * 200 + 21,)
    assert check(lake) == []


def test_expiring_a_generation_spares_another_video_that_shares_it(lake, result):
    from dataclasses import replace

    old = replace(result("old words", video_id="a" * 20), generation=5)
    shared = replace(result("newest words", video_id="b" * 20), generation=5)
    older = replace(result("older words", video_id="b" * 20), generation=4)
    new = replace(result("new words", video_id="a" * 20), generation=6)
    for one in (old, shared, older, new):
        keep(lake, one)
    assert expire(lake, keep=1) == 2
    assert rows(lake, "SELECT video_id[1], word FROM words_all ORDER BY ALL") == [
        ("a", "new"),
        ("a", "words"),
        ("b", "newest"),
        ("b", "words"),
    ]
    assert check(lake) == []


def keep(lake, one) -> None:
    """The rows of a result with the generation it has."""
    from datetime import UTC, datetime

    from tasks.lake.commit import content_rows, run_rows, video_row

    name, content = f"{one.work.video_id}-{one.generation}", content_rows(one)
    for table, found in content.items():
        lake.append(table, found, batch_id=name)
    lake.append("stage_runs", run_rows(one), batch_id=name)
    lake.append("videos", [video_row(one, run_id="r", now=datetime.now(UTC))], batch_id=name)


def test_files_that_a_killed_writer_has_not_finished_go_after_the_grace(lake, result):
    """Delta's own listing does not show them."""
    import os
    import time
    from pathlib import Path

    commit(lake, [result("some words")], run_id="r", device="cpu")
    staged = Path(lake.path("words"), "part-00000-x.parquet#1")
    staged.write_bytes(b"half")
    maintain(lake, keep_generations=3, grace_h=24)
    assert staged.exists()
    os.utime(staged, (time.time() - 90_000,) * 2)
    assert maintain(lake, keep_generations=3, grace_h=24).vacuumed_files == 1
    assert not staged.exists()


@pytest.mark.parametrize(("grace_h", "gone"), [(0.4, False), (0.0, True)])
def test_a_grace_of_a_part_of_an_hour_is_kept(lake, result, grace_h, gone):
    """Delta counts whole hours: a reader who began just now still has the files of then."""
    commit(lake, [result("some words")], run_id="r", device="cpu")
    commit(lake, [result("other words", key="b.mp4", video_id="b" * 20)], run_id="r", device="cpu")
    before = set(lake.files("words"))
    lake.table("words").optimize.compact()
    vacuum(lake, "words", grace_h)
    assert len(lake.files("words")) == 1
    assert all(Path(file).exists() != gone for file in before)


def test_a_search_opens_the_tables_that_it_reads_and_no_other(lake, say, monkeypatch):
    say("hello there", topic="Greetings")
    opened, find = set(), Lake.find_table
    monkeypatch.setattr(Lake, "find_table", lambda lake, name: opened.add(name) or find(lake, name))
    found = answer(Settings(lake=lake.uri), lake, "helo", engine="duckdb", typos=True, topic="Greetings")
    assert found["total_videos"] == 1
    assert opened == set(TABLES) == {"videos", "stage_runs", "topics", "passages", "words", "screen", "vocabulary"}
