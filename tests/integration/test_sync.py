"""Keeping a real Elasticsearch in step with a lake: the right documents, and none else, whatever happened before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from deltalake import DeltaTable
from search_server.fixtures import index_prefix, search_client, search_server  # noqa: F401

from tasks.errors import Misconfigured
from tasks.lake.commit import commit
from tasks.lake.maintain import compact, maintain
from tasks.lake.store import Lake
from tasks.lake.views import Snapshot, connect
from tasks.search.elastic.documents import Wanted, current, documents
from tasks.search.elastic.index import live_index, read_state, remove_old
from tasks.search.elastic.mapping import Names
from tasks.search.elastic.push import Target, push, send
from tasks.search.elastic.rebuild import rebuild
from tasks.search.elastic.sync import Syncer, sync
from tasks.search.elastic.verify import repair, verify
from tasks.settings import Settings

LONG = " ".join(f"word{n}" for n in range(200))


@pytest.fixture
def settings(search_server, index_prefix, monkeypatch) -> Settings:  # noqa: F811
    monkeypatch.setattr("tasks.search.elastic.rebuild.DRAWN", 2)
    return Settings(elasticsearch_url=search_server.url, elasticsearch_prefix=index_prefix)


@pytest.fixture
def syncer(lake: Lake, settings: Settings) -> Syncer:
    return Syncer.of(lake, settings)


@pytest.fixture
def indexed(syncer: Syncer) -> Callable[[], dict[str, list[int]]]:
    """What the index has at this moment, by realtime gets of every id there may be: video to passage numbers."""

    def look() -> dict[str, list[int]]:
        index = live_index(syncer.client, syncer.names)
        assert index is not None
        found: dict[str, list[int]] = {}
        for video in current(connect(syncer.lake)):
            ids = [video.video_id, *(f"{video.video_id}:{n}" for n in range(20))]
            docs = [d for d in syncer.client.mget(index=index, ids=ids)["docs"] if d.get("found")]
            if docs:
                found[video.video_id] = [d["_source"]["passage_no"] for d in docs if d["_source"]["kind"] == "passage"]
                assert {d["_source"]["generation"] for d in docs} == {video.generation}
                assert {d["_version"] for d in docs} == {video.generation}
        return found

    return look


def index_of(syncer: Syncer) -> str:
    index = live_index(syncer.client, syncer.names)
    assert index is not None
    return index


def differences(syncer: Syncer) -> list[Any]:
    return verify(syncer, index_of(syncer))


def video_id(key: str) -> str:
    return key.encode().hex()[:20].ljust(20, "0")


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


def test_a_log_that_no_longer_reaches_back_means_a_full_comparison(lake, say, settings, syncer, monkeypatch):
    say("one", "a.mp4")
    sync(lake, settings)
    state = read_state(syncer.client, index_of(syncer))
    assert state is not None
    say("two", "b.mp4")
    log = DeltaTable(lake.path("videos"))
    log.create_checkpoint()
    for entry in (lake_path := __import__("pathlib").Path(lake.path("videos"), "_delta_log")).glob("*.json"):
        if int(entry.stem) <= state.lake_version:
            entry.unlink()
    assert lake_path.exists()
    report = sync(lake, settings)
    assert (report.outcome, report.videos, report.unchanged) == ("done", 1, 1)


# -- old and new --------------------------------------------------------------------------------------------------------


def made_of(lake: Lake) -> list[tuple[Wanted, dict, list[dict]]]:
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


def test_what_a_killed_sync_left_of_a_longer_version_goes_with_the_next(
    lake, say, settings, syncer, indexed, monkeypatch
):
    last = say("short")
    sync(lake, settings)
    target = Target(syncer.client, index_of(syncer))
    longer = say(LONG, last_generation=last)
    made, had = made_of(lake), target.videos([video_id("talk.mp4")])

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

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
    row = connect(lake).sql("SELECT * FROM videos WHERE key = 'b.mp4'").to_arrow_table().to_pylist()[0]
    lake.append("videos", [{**row, "video_id": "e" * 20, "key": "e.mp4", "n_words": 0, "n_cues": 0}], batch_id="x")
    report = sync(lake, settings)
    assert (report.outcome, report.videos) == ("failed", 1)
    assert [(f["video_id"], "maintain --check" in f["reason"]) for f in report.failed] == [("e" * 20, True)]


def test_a_lake_put_back_from_a_copy_is_compared_as_a_whole(lake, say, settings, syncer, tmp_path):
    import shutil

    last = say("one", "a.mp4")
    shutil.copytree(lake.uri, tmp_path / "copy")
    say("one more", "a.mp4", last_generation=last)
    sync(lake, settings)
    shutil.rmtree(lake.uri)
    shutil.copytree(tmp_path / "copy", lake.uri)
    for n in range(3):
        say(f"other {n}", f"{n}.mp4")
    report = sync(lake, settings)
    assert (report.outcome, report.videos, report.unchanged) == ("done", 3, 1)
    assert [difference.video_id for difference in differences(syncer)] == [video_id("a.mp4")], "the copy is behind"
    assert repair(syncer, index_of(syncer), differences(syncer)).outcome == "done"
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


# -- verify and repair --------------------------------------------------------------------------------------------------


def test_verify_says_what_differs_both_ways_and_repair_mends_it(lake, say, result, settings, syncer, indexed):
    for key in "abcdef":
        say(LONG, f"{key}.mp4")
    sync(lake, settings)
    index, client = index_of(syncer), syncer.client
    client.delete(index=index, id=f"{video_id('a.mp4')}:2")
    client.delete(index=index, id=video_id("b.mp4"))
    body = client.get(index=index, id=f"{video_id('c.mp4')}:0")["_source"]
    client.index(index=index, id=f"{video_id('c.mp4')}:7", document={**body, "passage_no": 7})
    client.index(index=index, id=f"{'f' * 20}:0", document={**body, "video_id": "f" * 20})
    stolen = client.get(index=index, id=video_id("d.mp4"))["_source"]
    ahead = {**stolen, "generation": stolen["generation"] + 5000}
    client.index(
        index=index, id=video_id("d.mp4"), document=ahead, version=ahead["generation"], version_type="external"
    )
    found = {difference.video_id: difference.what for difference in differences(syncer)}
    assert found == {
        video_id("a.mp4"): found[video_id("a.mp4")],
        video_id("b.mp4"): "has passages in the index, and no document of its own",
        video_id("c.mp4"): found[video_id("c.mp4")],
        video_id("d.mp4"): f"has generation {stolen['generation']} in the lake, {ahead['generation']} in the index",
        "f" * 20: "is in the index and not in the lake",
    }
    assert found[video_id("a.mp4")].startswith("has 5 passages in the lake, in the index 4 of")
    assert found[video_id("c.mp4")].startswith("has 5 passages in the lake, in the index 6 of")
    report = repair(syncer, index, differences(syncer))
    assert (report.outcome, report.failed) == ("done", [])
    assert differences(syncer) == []


def test_an_index_that_has_seen_a_later_lake_is_not_touched(lake, say, settings, syncer):
    say("one")
    sync(lake, settings)
    index = index_of(syncer)
    version = DeltaTable(lake.path("videos")).version()
    syncer.client.index(
        index=index, id="state", version=version + 5, version_type="external",
        document={"kind": "state", "lake_version": version + 5, "lake_files": "", "synced_at": "2026-01-01T00:00:00Z", "languages": []},
    )  # fmt: skip
    with pytest.raises(Misconfigured, match="an older copy of the lake"):
        sync(lake, settings)


def test_an_index_of_another_lake_or_of_another_version_is_refused(lake, say, settings, syncer, tmp_path, monkeypatch):
    say("one")
    sync(lake, settings)
    other = Lake(str(tmp_path / "other"))
    other.create()
    with pytest.raises(Misconfigured, match="belongs to another lake"):
        sync(other, settings)
    monkeypatch.setattr("tasks.search.elastic.mapping.BUILDER_VERSION", 99)
    with pytest.raises(Misconfigured, match="made by another version of Nightscribe") as error:
        sync(lake, settings)
    assert error.value.next == "nightscribe sync --rebuild"
    report = rebuild(syncer)
    assert report.outcome == "done"
    assert sync(lake, settings).outcome == "done"


# -- rebuild ------------------------------------------------------------------------------------------------------------


def test_a_rebuild_swaps_both_aliases_and_the_old_index_goes_after_its_time(lake, say, settings, syncer):
    say(LONG)
    sync(lake, settings)
    old = index_of(syncer)
    report = rebuild(syncer)
    new = index_of(syncer)
    assert (report.outcome, report.index, new != old) == ("done", new, True)
    aliases = syncer.client.indices.get_alias(name=f"{syncer.names.read},{syncer.names.write}")
    assert list(aliases) == [new]
    assert remove_old(syncer.client, syncer.names, keep_h=1) == []
    assert remove_old(syncer.client, syncer.names, keep_h=0) == [old]
    assert live_index(syncer.client, syncer.names) == new


def test_a_rebuild_that_lacks_something_does_not_take_over(lake, say, settings, syncer, monkeypatch):
    say(LONG)
    sync(lake, settings)
    live = index_of(syncer)
    monkeypatch.setattr("tasks.search.elastic.rebuild.current", lambda connection: iter(list(current(connection))[:-1]))
    report = rebuild(syncer)
    assert report.outcome == "failed"
    assert "The lake has 1 documents of kind video, the new index 0." in report.notes
    assert index_of(syncer) == live


def test_golden_queries_of_the_settings_are_asked_too(lake, say, settings, syncer, tmp_path, monkeypatch):
    say("the budget passed")
    golden = tmp_path / "golden.txt"
    golden.write_text("# ours\nbudget\n")
    syncer = replace(syncer, settings=settings.model_copy(update={"golden_queries": golden}))
    assert rebuild(syncer).outcome == "done"
    monkeypatch.setattr("tasks.search.elastic.rebuild.drawn_queries", lambda connection: [])
    monkeypatch.setattr("tasks.search.duck.search", lambda connection, query: {"total_videos": 7, "total_moments": 7})
    report = rebuild(syncer)
    assert report.outcome == "failed"
    assert "To 'budget' the lake has 7 for total_videos, the new index 1." in report.notes


# -- accounts -----------------------------------------------------------------------------------------------------------


def test_a_document_that_is_refused_is_in_the_ledger_and_the_next_sync_tries_it_again(
    lake, say, result, settings, syncer, monkeypatch
):
    say("one", "a.mp4")
    sync(lake, settings)
    good = say("two", "b.mp4")
    say("three", "c.mp4")

    def broken(connection, videos):
        for video, whole, passages in documents(connection, videos):
            bad = [{**p, "nosuch": 1} for p in passages] if video.video_id == video_id("b.mp4") else passages
            yield video, whole, bad

    monkeypatch.setattr("tasks.search.elastic.push.documents", broken)
    report = sync(lake, settings)
    assert (report.outcome, report.videos) == ("failed", 1)
    assert [(f["video_id"], f["generation"]) for f in report.failed] == [(video_id("b.mp4"), good)]
    assert "strict_dynamic_mapping_exception" in report.failed[0]["reason"]
    assert connect(lake).execute("SELECT video_id FROM sync_failures").fetchall() == [(video_id("b.mp4"),)]
    assert [d.video_id for d in differences(syncer)] == [video_id("b.mp4")]
    monkeypatch.undo()
    healed = sync(lake, settings)
    assert (healed.outcome, healed.videos) == ("done", 1)
    assert differences(syncer) == []
    assert sync(lake, settings).unchanged == 0


def test_the_names_have_the_prefix_of_the_settings(syncer, lake, say, settings):
    say("one")
    sync(lake, settings)
    names = Names("x")
    assert (names.read, names.write) == ("x", "x-write")
    found = syncer.client.indices.get(index=f"{settings.elasticsearch_prefix}*")
    assert all(name.startswith(f"{settings.elasticsearch_prefix}-passages-m1-") for name in found)
    meta = found[index_of(syncer)]["mappings"]["_meta"]
    assert {"mapping", "builder", "passages", "stems", "lake_id", "created_at"} <= meta.keys()
    assert found[index_of(syncer)]["mappings"]["dynamic"] == "strict"


def test_a_sync_of_many_at_once_leaves_each_video_once(lake, result, settings, syncer, indexed):
    made = [result(LONG, key=f"{n}.mp4", video_id=f"{n:020}") for n in range(12)]
    commit(lake, made, run_id="r", device="cpu")
    sync(lake, settings)
    import concurrent.futures

    for round_ in range(3):
        again = [
            result(
                " ".join(LONG.split()[: 40 * round_ + 30]), key=f"{n}.mp4", video_id=f"{n:020}", last_generation=10**16
            )
            for n in range(12)
        ]
        commit(lake, again, run_id="r", device="cpu")
        with concurrent.futures.ThreadPoolExecutor(3) as pool:
            reports = list(pool.map(lambda _: sync(lake, settings), range(3)))
        assert {report.outcome for report in reports} == {"done"}
        assert differences(syncer) == []
