"""Readers of the web app see one lake from start to end, few are let in at once, and little is kept."""

from __future__ import annotations

import os
import shutil
import threading
import time
from pathlib import Path

import anyio
import duckdb
import pytest

from dashboards.web import Lane
from tasks.errors import LakeUnreadable, Misconfigured, ReadTooLong, TooBusy
from tasks.lake.maintain import maintain
from tasks.search.filters import Filters
from tasks.settings import Settings
from tasks.web.cache import FolderCache
from tasks.web.searching import Engines, search, strip_of
from tasks.web.snapshots import Answers, Snapshots

WORDS = "SELECT word FROM words ORDER BY word_no"


@pytest.fixture
def snapshots(lake, tmp_path):
    made = Snapshots(lake, seconds=10, memory_mb=512, spill=tmp_path / "spill")
    yield made
    made.close()


def texts(view):
    return [word for (word,) in view.rows(WORDS)]


def test_a_reader_sees_one_lake_from_start_to_end(snapshots, say):
    say("before")

    def work(view):
        first = texts(view)
        last = say("after", last_generation=2 * 10**15)
        assert last
        return first, texts(view)

    assert snapshots.read(work) == (["before"], ["before"])
    assert snapshots.read(texts) == ["after"]


def test_a_read_whose_files_are_vacuumed_is_made_anew_on_one_snapshot(snapshots, say, lake):
    generation = say("before")
    runs = []

    def work(view):
        first = [count for (count,) in view.rows("SELECT count(*) FROM videos")]
        if not runs:
            say("after all", last_generation=generation)
            maintain(lake, keep_generations=1, grace_h=0)
        runs.append(view.snapshot.version)
        return first, texts(view)

    assert snapshots.read(work)[1] == ["after", "all"]
    assert len(runs) == 2
    assert runs[1] > runs[0]


@pytest.mark.broken_lake
def test_a_file_that_stays_away_is_said(snapshots, say, lake):
    say("before")
    for path in Path(lake.uri, "words").glob("*.parquet"):
        path.unlink()
    with pytest.raises(LakeUnreadable):
        snapshots.read(texts)


def test_a_connection_is_shared_until_the_lake_moves_on_and_then_closed(snapshots, say):
    say("one")
    first = snapshots.read(lambda view: view)
    again = snapshots.read(lambda view: view)
    assert first.answers is again.answers
    before = snapshots._newest.connection
    say("two", key="b.mp4")
    later = snapshots.read(lambda view: view)
    assert later.answers is not first.answers
    with pytest.raises(duckdb.ConnectionException):
        before.execute("SELECT 1")


def test_an_older_snapshot_lives_until_its_last_reader_is_done(snapshots, say):
    say("one")

    def work(view):
        say("two", key="b.mp4")
        newer = snapshots.read(lambda other: other.rows("SELECT count(*) FROM videos"))
        return newer, view.rows("SELECT count(*) FROM videos")

    assert snapshots.read(work) == ([(2,)], [(1,)])


def test_temporary_tables_are_the_readers_own(snapshots, say):
    say("one")
    snapshots.read(lambda view: view.rows("CREATE TEMP TABLE mine AS SELECT 1"))
    with pytest.raises(duckdb.CatalogException):
        snapshots.read(lambda view: view.rows("FROM mine"))


def test_who_finds_the_line_full_or_waits_too_long_is_turned_away():
    go, inside = threading.Event(), threading.Event()

    def work():
        inside.set()
        assert go.wait(10)
        return "read"

    async def asked():
        lane = Lane(1, waiting=1, patience_s=0.3)
        answers = []

        async def ask():
            try:
                answers.append(await lane.run(work))
            except TooBusy:
                answers.append("turned away")

        async with anyio.create_task_group() as group:
            group.start_soon(ask)
            await anyio.to_thread.run_sync(inside.wait)
            group.start_soon(ask)  # has a place in the line, until it has waited too long
            await anyio.sleep(0.05)
            group.start_soon(ask)  # finds the line full
            await anyio.sleep(0.05)
            assert answers == ["turned away"]
            await anyio.sleep(0.4)
            assert answers == ["turned away", "turned away"]
            go.set()
        assert answers[2:] == ["read"]
        assert await lane.run(work) == "read"

    anyio.run(asked)


def test_a_read_that_takes_too_long_is_stopped(lake, say, tmp_path):
    say("one")
    snapshots = Snapshots(lake, seconds=0.5, memory_mb=512, spill=tmp_path / "spill")
    started = time.monotonic()
    with pytest.raises(ReadTooLong):
        snapshots.read(
            lambda view: view.rows(
                "SELECT count(*) FROM range(1000000000) a, range(1000000) b WHERE a.range % 7 = b.range"
            )
        )
    assert time.monotonic() - started < 8

    def late(view):  # the time is up between two queries
        time.sleep(0.8)
        return view.rows("SELECT count(*) FROM range(1000000000) a, range(1000000) b WHERE a.range % 7 = b.range")

    with pytest.raises(ReadTooLong):
        snapshots.read(late)
    assert snapshots.read(texts) == ["one"]
    snapshots.close()


def test_a_read_that_wants_too_much_memory_is_an_answer(lake, say, tmp_path):
    say("one")
    snapshots = Snapshots(lake, seconds=20, memory_mb=128, spill=tmp_path / "spill")
    with pytest.raises(ReadTooLong, match="memory"):
        snapshots.read(lambda view: view.rows("SELECT list(range::VARCHAR || repeat('x', 100)) FROM range(20000000)"))
    assert snapshots.read(texts) == ["one"]
    snapshots.close()


def test_what_was_computed_is_kept_while_only_the_clock_moves_on(snapshots, say, monkeypatch):
    say("one")
    first = snapshots.read(lambda view: view)
    monkeypatch.setattr(Snapshots, "_signature", lambda self: time.monotonic())  # as of a lake in a bucket
    again = snapshots.read(lambda view: view)
    assert again.answers is first.answers
    say("two", key="b.mp4")
    assert snapshots.read(lambda view: view).answers is not first.answers


def test_a_lake_is_found_once_it_is_made(tmp_path, lake):
    copied = tmp_path / "copied"
    from tasks.lake.store import Lake

    snapshots = Snapshots(Lake(str(copied)), seconds=5, memory_mb=256, spill=tmp_path)
    with pytest.raises(Misconfigured):
        snapshots.read(texts)
    shutil.copytree(lake.uri, copied)
    assert snapshots.read(texts) == []
    snapshots.close()


def test_answers_are_kept_within_bounds():
    answers, made = Answers(most_cells=20), []
    for key in ("a", "a"):
        answers.get(key, lambda key=key: made.append(key), lambda _: 9)
    assert made == ["a", "a"]  # larger than an eighth of all: not kept
    made.clear()
    for key in "abcdefghijkaa":
        answers.get(key, lambda key=key: made.append(key), lambda _: 2)
    assert "".join(made) == "abcdefghijka"
    assert len(answers._kept) == 10


def test_a_cache_stays_within_its_bound_and_drops_what_was_not_used(tmp_path):
    cache = FolderCache(tmp_path / "cache", most_mb=1)
    half = b"x" * 400_000
    for name in ("a", "b"):
        cache.get(name, lambda path: path.write_bytes(half) and None)
        time.sleep(0.02)
    assert cache.find("a")
    time.sleep(0.02)
    cache.get("c", lambda path: path.write_bytes(half) and None)
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["a", "c"]


def test_a_file_is_made_once_by_many_and_not_at_all_by_one_that_fails(tmp_path):
    cache, made = FolderCache(tmp_path / "cache", most_mb=1), []

    def make(path):
        made.append(path)
        time.sleep(0.1)
        path.write_bytes(b"x")

    threads = [threading.Thread(target=cache.get, args=("a", make)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1

    def fail(path):
        path.write_bytes(b"half")
        raise ValueError

    with pytest.raises(ValueError):
        cache.get("b", fail)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["a"]
    assert cache._making == {}


def test_what_a_killed_server_left_half_made_is_removed_after_a_day(tmp_path):
    folder = tmp_path / "cache"
    folder.mkdir()
    for name, age_s in (("old.part", 100_000), ("new.part", 10)):
        (folder / name).touch()
        os.utime(folder / name, (time.time() - age_s,) * 2)
    FolderCache(folder, most_mb=1).get("a", lambda path: path.touch())
    assert sorted(path.name for path in folder.iterdir()) == ["a", "new.part"]


def test_marks_that_lie_close_are_one():
    moments = [{"times": list(range(0, 60_000, 100)), "snippet": "a b", "marks": [[0, 1]]}]
    strip = strip_of(moments, 60_000)
    assert len(strip) <= 120
    assert sum(mark["hits"] for mark in strip) == 600
    assert strip_of(moments, 0) == []


def test_a_strip_shows_hits_to_the_end_of_a_long_video(snapshots, say):
    say("bank " + "word " * 30 + ("bank " + "other " * 40) * 300 + "bank", "long.mp4")
    found = snapshots.read(lambda view: search(view, Engines(Settings()), "bank", Filters()))
    [video] = found["videos"]
    assert video["moments_total"] > 120
    strip = video["strip"]
    assert len(strip) > 100
    assert strip[0]["share"] < 0.01
    assert strip[-1]["share"] > 0.98
    assert sum(mark["hits"] for mark in strip) == video["moments_total"]
    assert all("bank" in mark["text"] for mark in strip)
