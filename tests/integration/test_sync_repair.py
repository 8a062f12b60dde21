"""What tells that an index is wrong and makes it right: verify, repair, rebuild, and the ledger of what failed."""

from __future__ import annotations

from dataclasses import replace

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

from tasks.errors import Misconfigured, SearchUnavailable
from tasks.lake.create import create_lake
from tasks.lake.store import Lake
from tasks.lake.views import connect
from tasks.search.answer import answer
from tasks.search.elastic.documents import Parts, current, documents
from tasks.search.elastic.index import live_index, remove_old
from tasks.search.elastic.mapping import Names
from tasks.search.elastic.rebuild import rebuild
from tasks.search.elastic.sync import sync
from tasks.search.elastic.verify import repair


def refused(parts: Parts) -> Parts:
    """The same with a field that the index does not know."""
    return replace(parts, shared={**parts.shared, "nosuch": 1})


# -- verify and repair --------------------------------------------------------------------------------------------------


def test_verify_says_what_differs_both_ways_and_repair_mends_it(lake, say, result, settings, syncer, indexed):
    for key in "abcdef":
        say(LONG, f"{key}.mp4")
    sync(lake, settings)
    index, client = index_of(syncer), syncer.client
    client.delete(index=index, id=f"{video_id('a.mp4')}:2")
    client.delete(index=index, id=video_id("b.mp4"))
    body = client.get(index=index, id=f"{video_id('c.mp4')}:0")["_source"]
    client.index(index=index, id=f"{video_id('c.mp4')}:7", document={**body, "part_no": 7})
    client.index(index=index, id=f"{'f' * 20}:0", document={**body, "video_id": "f" * 20})
    stolen = client.get(index=index, id=video_id("d.mp4"))["_source"]
    ahead = {**stolen, "generation": stolen["generation"] + 5000}
    client.index(
        index=index, id=video_id("d.mp4"), document=ahead, version=ahead["generation"], version_type="external"
    )
    found = {difference.video_id: difference.what for difference in differences(syncer)}
    assert found == {
        video_id("a.mp4"): found[video_id("a.mp4")],
        video_id("b.mp4"): "has passages or vectors in the index, and no document of its own",
        video_id("c.mp4"): found[video_id("c.mp4")],
        video_id("d.mp4"): f"has generation {stolen['generation']} in the lake, {ahead['generation']} in the index",
        "f" * 20: "is in the index and not in the lake",
    }
    assert found[video_id("a.mp4")].startswith("has 5 passages and vectors in the lake, in the index 4 of")
    assert found[video_id("c.mp4")].startswith("has 5 passages and vectors in the lake, in the index 6 of")
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
    create_lake(other)
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


def test_an_index_made_by_chance_under_the_name_of_a_guard_is_removed(lake, say, settings, syncer):
    say("hello")
    sync(lake, settings)
    chance = f"{settings.elasticsearch_prefix}-passages-m3-lost-guard"
    syncer.client.indices.create(index=chance)
    assert remove_old(syncer.client, syncer.names, keep_h=1000) == []
    assert list(syncer.client.indices.get(index=syncer.names.pattern)) == [index_of(syncer)]


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


def test_the_row_of_a_rebuild_that_broke_off_says_failed_and_its_index_is_gone(
    lake, say, settings, syncer, monkeypatch
):
    say(LONG)
    sync(lake, settings)
    live = index_of(syncer)

    def away(*_: object) -> list[str]:
        raise SearchUnavailable("gone")

    monkeypatch.setattr("tasks.search.elastic.rebuild.gate", away)
    with pytest.raises(SearchUnavailable):
        rebuild(syncer)
    rows = connect(lake).execute("SELECT outcome, report_json->>'error' FROM syncs ORDER BY started_at").fetchall()
    assert rows == [("done", None), ("failed", "gone")]
    assert list(syncer.client.indices.get(index=syncer.names.pattern)) == [live]


def test_a_rebuild_that_was_given_up_goes_with_the_next(lake, say, settings, syncer, monkeypatch):
    say(LONG)
    sync(lake, settings)
    monkeypatch.setattr("tasks.search.elastic.rebuild.gate", lambda *_: ["It is blue."])
    given_up = [rebuild(syncer) for _ in range(3)]
    assert [(report.outcome, report.shortfall) for report in given_up] == [("failed", "It is blue.")] * 3
    assert set(syncer.client.indices.get(index=syncer.names.pattern)) == {index_of(syncer), given_up[-1].index}
    monkeypatch.undo()
    assert rebuild(syncer).outcome == "done"


def test_the_alias_that_searches_ask_comes_back_with_the_next_sync(lake, say, settings, syncer):
    say("hello")
    sync(lake, settings)
    syncer.client.indices.delete_alias(index=index_of(syncer), name=syncer.names.read)
    assert answer(settings, lake, "hello")["engine"] == "duckdb"
    assert sync(lake, settings).outcome == "done"
    assert answer(settings, lake, "hello")["engine"] == "elasticsearch"


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
            yield video, whole, refused(passages) if video.video_id == video_id("b.mp4") else passages

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


def test_a_first_index_that_lacks_a_video_answers_and_the_next_sync_sends_only_that(
    lake, say, settings, syncer, monkeypatch
):
    say("one", "a.mp4")
    say("two", "b.mp4")

    def broken(connection, videos):
        for video, whole, passages in documents(connection, videos):
            yield video, whole, refused(passages) if whole["video"]["key"] == "b.mp4" else passages

    monkeypatch.setattr("tasks.search.elastic.push.documents", broken)
    first = sync(lake, settings)
    assert (first.outcome, first.kind, first.videos, first.shortfall) == (
        "failed",
        "rebuild",
        1,
        "Videos that were refused: 1.",
    )
    assert answer(settings, lake, "one")["engine"] == "elasticsearch"
    monkeypatch.undo()
    healed = sync(lake, settings)
    assert (healed.outcome, healed.kind, healed.videos) == ("done", "sync", 1)
    assert differences(syncer) == []


def test_the_names_have_the_prefix_of_the_settings(syncer, lake, say, settings):
    say("one")
    sync(lake, settings)
    names = Names("x")
    assert (names.read, names.write) == ("x", "x-write")
    found = syncer.client.indices.get(index=f"{settings.elasticsearch_prefix}*")
    assert all(name.startswith(f"{settings.elasticsearch_prefix}-passages-m3-") for name in found)
    meta = found[index_of(syncer)]["mappings"]["_meta"]
    assert {"mapping", "builder", "passages", "stems", "lake_id", "created_at"} <= meta.keys()
    assert found[index_of(syncer)]["mappings"]["dynamic"] == "strict"
