"""Keeping a real Elasticsearch in step with a lake: the right documents, and none else, whatever happened before."""

from __future__ import annotations

import concurrent.futures
import shutil
from pathlib import Path

import pytest
from deltalake import DeltaTable
from search_server.syncs import (  # noqa: F401
    LONG,
    differences,
    index_of,
    index_prefix,
    indexed,
    search_client,
    search_server,
    settings,
    syncer,
    video_id,
)

from tasks.errors import Misconfigured
from tasks.lake.commit import commit
from tasks.lake.maintain import compact, maintain
from tasks.lake.store import Lake
from tasks.lake.views import Snapshot, connect
from tasks.search.elastic.documents import PendingVideo, current, documents
from tasks.search.elastic.index import read_state
from tasks.search.elastic.push import push, send
from tasks.search.elastic.rebuild import rebuild
from tasks.search.elastic.sync import sync
from tasks.search.elastic.target import Target
from tasks.search.elastic.verify import repair

# -- what is sent -------------------------------------------------------------------------------------------------------


def test_the_first_sync_makes_the_index_and_the_next_finds_nothing_to_do(lake, say, settings, syncer, indexed):
    say(LONG, "a.mp4", topic="News")
    say("short talk", "b.mp4")
    first = sync(lake, settings)
    assert (first.outcome, first.kind, first.videos, first.passages) == ("done", "rebuild", 2, 6)
    assert indexed() == {video_id("a.mp4"): [0, 1, 2, 3, 4], video_id("b.mp4"): [0]}
    assert differences(syncer) == []
    again = sync(lake, settings)
    assert (again.outcome, again.kind, again.videos, again.passages, again.unchanged) == ("done", "sync", 0, 0, 0)
    rows = connect(lake).execute("SELECT kind, outcome, videos, passages, failed FROM syncs").fetchall()
    assert rows == [("rebuild", "done", 2, 6, 0)]


def test_a_video_that_shrinks_grows_goes_or_is_renamed_leaves_exactly_its_documents(lake, say, settings, indexed):
    a, b = say(LONG, "a.mp4"), say("a first talk", "b.mp4")
    say("stays", "c.mp4", title="Old name")
    sync(lake, settings)
    a = say("much less " * 30, "a.mp4", last_generation=a)
    report = sync(lake, settings)
    assert (report.videos, report.deleted, report.unchanged) == (1, 3, 0)
    assert indexed()[video_id("a.mp4")] == [0, 1]
    say("", "b.mp4", status="gone", last_generation=b)
    say("a first talk", "renamed.mp4")
    say(LONG, "a.mp4", last_generation=a)
    report = sync(lake, settings)
    assert (report.outcome, report.videos, report.deleted) == ("done", 3, 1)
    assert indexed() == {
        video_id("a.mp4"): [0, 1, 2, 3, 4], video_id("b.mp4"): [], video_id("c.mp4"): [0], video_id("renamed.mp4"): [0]
    }  # fmt: skip


def test_a_video_whose_text_did_not_change_is_sent_with_its_new_title(lake, say, settings, syncer, indexed):
    last = say("hello there", title="Old")
    sync(lake, settings)
    say("hello there", title="New", last_generation=last)
    assert sync(lake, settings).videos == 1
    assert indexed() == {video_id("talk.mp4"): [0]}
    found = syncer.client.get(index=index_of(syncer), id=video_id("talk.mp4"))["_source"]
    assert (found["title"], found["video"]["title"]) == ("new", "New")


def test_a_compacted_lake_sends_nothing_again(lake, say, settings):
    generations = {n: say(f"talk {n}", f"{n}.mp4") for n in range(9)}
    sync(lake, settings)
    assert compact(lake, "videos") == 9
    report = sync(lake, settings)
    assert (report.videos, report.unchanged) == (0, 9)
    say("new", "0.mp4", last_generation=generations[0])
    maintain(lake, keep_generations=1, grace_h=0)
    assert sync(lake, settings).videos == 1


def test_a_log_that_no_longer_reaches_back_means_a_full_comparison(lake, say, settings, syncer):
    say("one", "a.mp4")
    sync(lake, settings)
    state = read_state(syncer.client, index_of(syncer))
    assert state is not None
    say("two", "b.mp4")
    log = DeltaTable(lake.path("videos"))
    log.create_checkpoint()
    seen = [e for e in Path(lake.path("videos"), "_delta_log").glob("*.json") if int(e.stem) <= state.lake_version]
    assert seen
    for entry in seen:
        entry.unlink()
    report = sync(lake, settings)
    assert (report.outcome, report.videos, report.unchanged) == ("done", 1, 1)


# -- old and new --------------------------------------------------------------------------------------------------------


def made_of(lake: Lake) -> list[tuple[PendingVideo, dict, list[dict]]]:
    connection = connect(lake, Snapshot.of(lake))
    return list(documents(connection, list(current(connection))))


def test_a_replay_of_an_older_generation_changes_nothing_even_after_deletes_are_forgotten(
    lake, say, settings, syncer, indexed
):
    last = say(LONG)
    old = made_of(lake)
    sync(lake, settings)
    target = Target(syncer.client, index_of(syncer))
    say("short", last_generation=last)
    sync(lake, settings)
    syncer.client.indices.put_settings(index=target.index, settings={"gc_deletes": "0s"})
    syncer.client.indices.refresh(index=target.index)
    replayed = send(target, old, {})  # as a sync does that has looked at the index before the newer one came
    assert (replayed.videos, replayed.failed) == (0, {})
    assert indexed() == {video_id("talk.mp4"): [0]}
    assert differences(syncer) == []
    say("", status="gone", last_generation=last + 10_000_000)
    sync(lake, settings)
    syncer.client.indices.refresh(index=target.index)
    send(target, old, {})
    assert indexed() == {video_id("talk.mp4"): []}
    assert differences(syncer) == []


def test_a_sync_that_a_newer_one_has_passed_sends_nothing_and_may_die(
    lake, say, settings, syncer, indexed, monkeypatch
):
    last = say(LONG)
    old = made_of(lake)
    say("short", last_generation=last)
    sync(lake, settings)
    monkeypatch.setattr("tasks.search.elastic.push._give_way", killed)
    with pytest.raises(KeyboardInterrupt):
        send(Target(syncer.client, index_of(syncer)), old, {})
    assert indexed() == {video_id("talk.mp4"): [0]}
    assert differences(syncer) == []


def killed(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def test_of_two_syncs_that_looked_at_once_the_older_leaves_nothing_though_it_sends_first(
    lake, say, settings, syncer, indexed
):
    last = say("short")
    sync(lake, settings)
    target = Target(syncer.client, index_of(syncer))
    looked = target.videos([video_id("talk.mp4")])
    longer = say(LONG, last_generation=last)
    second = made_of(lake)
    say("short again", last_generation=longer)
    third = made_of(lake)
    assert send(target, second, looked).passages == 5
    assert send(target, third, looked).deleted == 4
    assert indexed() == {video_id("talk.mp4"): [0]}
    assert differences(syncer) == []


def test_what_a_killed_sync_left_of_a_longer_version_goes_with_the_next(
    lake, say, settings, syncer, indexed, monkeypatch
):
    last = say("short")
    sync(lake, settings)
    target = Target(syncer.client, index_of(syncer))
    longer = say(LONG, last_generation=last)
    made, had = made_of(lake), target.videos([video_id("talk.mp4")])
    monkeypatch.setattr("tasks.search.elastic.push._confirm", killed)
    with pytest.raises(KeyboardInterrupt):
        send(target, made, had)
    monkeypatch.undo()
    say("short again", last_generation=longer)
    report = sync(lake, settings)
    assert (report.outcome, report.deleted) == ("done", 4)
    assert indexed() == {video_id("talk.mp4"): [0]}
    assert differences(syncer) == []


def test_a_repair_leaves_alone_what_another_sync_brings_meanwhile(lake, say, settings, syncer, monkeypatch):
    last = say(LONG, "a.mp4")
    sync(lake, settings)
    say("newer", "a.mp4", last_generation=last)
    say("new", "b.mp4")
    late = differences(syncer)
    assert [difference.video_id for difference in late] == [video_id("a.mp4"), video_id("b.mp4")]
    sync(lake, settings)
    report = repair(syncer, index_of(syncer), late)
    assert (report.outcome, report.deleted) == ("done", 0)
    assert differences(syncer) == []


@pytest.mark.broken_lake
def test_a_video_of_which_the_lake_lacks_a_part_fails_and_the_others_arrive(lake, say, settings, syncer, result):
    say("one", "a.mp4")
    sync(lake, settings)
    say("two", "b.mp4")
    (video_id,) = connect(lake).execute("SELECT video_id FROM videos WHERE key = 'b.mp4'").fetchone()
    for name, other in (("stage_runs", {}), ("videos", {"key": "e.mp4"})):  # its rows are nowhere
        rows = connect(lake).sql(f"SELECT * FROM _{name} WHERE video_id = '{video_id}'").to_arrow_table().to_pylist()
        lake.append(name, [{**row, "video_id": "e" * 20, **other} for row in rows], batch_id="x")
    report = sync(lake, settings)
    assert (report.outcome, report.videos) == ("failed", 1)
    assert [(f["video_id"], "maintain --check" in f["reason"]) for f in report.failed] == [("e" * 20, True)]


def test_a_lake_put_back_from_a_copy_is_refused_until_the_index_is_made_anew(lake, say, settings, syncer, tmp_path):
    last = say("one", "a.mp4")
    shutil.copytree(lake.uri, tmp_path / "copy")
    say("one more", "a.mp4", last_generation=last)
    sync(lake, settings)
    shutil.rmtree(lake.uri)
    shutil.copytree(tmp_path / "copy", lake.uri)
    for n in range(3):
        say(f"other {n}", f"{n}.mp4")
    with pytest.raises(Misconfigured, match="an older copy of it was put back") as error:
        sync(lake, settings)
    assert error.value.next == "nightscribe sync --rebuild"
    assert rebuild(syncer).outcome == "done"
    assert differences(syncer) == []


def test_sending_the_same_again_changes_nothing(lake, say, settings, syncer, indexed):
    say(LONG)
    sync(lake, settings)
    connection = connect(lake)
    target = Target(syncer.client, index_of(syncer))
    assert push(target, connection, current(connection)).unchanged == 1
    done = push(target, connection, current(connection), again=True)
    assert (done.videos, done.passages, done.failed) == (1, 5, {})
    assert indexed() == {video_id("talk.mp4"): [0, 1, 2, 3, 4]}


def test_a_sync_of_many_at_once_leaves_each_video_once(lake, result, settings, syncer, indexed):
    made = [result(LONG, key=f"{n}.mp4", video_id=f"{n:020}") for n in range(12)]
    commit(lake, made, run_id="r", device="cpu")
    sync(lake, settings)
    for round_ in range(3):
        text, last = " ".join(LONG.split()[: 40 * round_ + 30]), 10**16 + 10**6 * round_
        again = [result(text, key=f"{n}.mp4", video_id=f"{n:020}", last_generation=last) for n in range(12)]
        commit(lake, again, run_id="r", device="cpu")
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            reports = list(pool.map(lambda _: sync(lake, settings), range(3)))
        assert {report.outcome for report in reports} == {"done"}
        assert len(indexed()) == 12
        assert differences(syncer) == []
