"""A sync through whatever may happen to it: afterwards the index is right, or the sync said that it is not."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import pytest
from conftest import command_environment, rarely
from search_server.proxy import Answer, Hangup, Proxy, Request
from search_server.syncs import differences, index_prefix, proxy, search_client, search_server  # noqa: F401

from tasks.errors import SearchUnavailable
from tasks.lake.commit import commit
from tasks.lake.store import Lake
from tasks.search.answer import answer
from tasks.search.elastic.index import live_index
from tasks.search.elastic.rebuild import rebuild
from tasks.search.elastic.sync import sync
from tasks.search.elastic.syncer import Syncer
from tasks.settings import Settings

LONG = " ".join(f"word{n}" for n in range(150))


@pytest.fixture(autouse=True)
def small_and_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many bulk requests for few videos, no long waits between tries, a gate of two queries."""
    monkeypatch.setattr("tasks.search.trial.DRAWN", 1)
    monkeypatch.setattr("tasks.search.elastic.push.CHUNK_VIDEOS", 4)
    monkeypatch.setattr("tasks.search.elastic.target.BACKOFF_S", 0.01)


@pytest.fixture
def settings(proxy: Proxy, index_prefix: str) -> Settings:
    return Settings(elasticsearch_url=proxy.url, elasticsearch_prefix=index_prefix, elasticsearch_timeout_s=10)


@pytest.fixture
def syncer(lake: Lake, settings: Settings, search_server) -> Syncer:
    """Without the proxy, to look and to mend."""
    return Syncer.of(lake, settings.model_copy(update={"elasticsearch_url": search_server.url}))


def videos(lake: Lake, result, count: int, text: str = LONG, last: int = 0) -> None:
    made = [result(text, key=f"{n}.mp4", video_id=f"{n:020}", last_generation=last) for n in range(count)]
    commit(lake, made, run_id="r", device="cpu")


@pytest.fixture
def begun(lake: Lake, result, settings: Settings, proxy: Proxy) -> None:
    """An index in step with twenty videos, of which all have something new since."""
    videos(lake, result, 20)
    assert sync(lake, settings).outcome == "done"
    videos(lake, result, 20, text=LONG[: len(LONG) // 2], last=10**16)
    proxy.seen.clear()


def heals(lake: Lake, settings: Settings, syncer: Syncer, proxy: Proxy) -> None:
    """What the next sync makes of it, when the fault is over."""
    proxy.rule = lambda request: None
    proxy.refused_items = lambda id_: False
    assert sync(lake, settings).outcome == "done"
    assert differences(syncer) == []
    assert sync(lake, settings).videos == 0


# -- faults that pass: the sync tries again, and is done ----------------------------------------------------------------


@pytest.mark.parametrize("fault", ["429", "hangup", "429 on items", *rarely("503", "cut off")])
def test_a_fault_that_passes_is_tried_again_and_nothing_is_lost(fault, begun, lake, settings, syncer, proxy):
    refused: set[str] = set()

    def once(request: Request) -> Answer | None:
        if request.bulk in (2, 5):
            if fault in ("hangup", "cut off"):
                raise Hangup(after=fault == "cut off")
            if fault.isdigit():
                return Answer(int(fault), {"error": {"type": "busy", "reason": "try later"}})
        return None

    def item_once(id_: str) -> bool:
        again = id_ in refused or not id_.endswith((":0", "3"))
        refused.add(id_)
        return not again

    if fault == "429 on items":
        proxy.refused_items = item_once
    else:
        proxy.rule = once
    report = sync(lake, settings)
    assert (report.outcome, report.videos, report.failed) == ("done", 20, [])
    assert proxy.bulks > 10 or refused
    assert differences(syncer) == []


# -- faults that stay: the sync says so, and the next one heals ---------------------------------------------------------


@pytest.mark.parametrize("status", [429, 413, *(pytest.param(s, marks=pytest.mark.long) for s in (503, 500))])
def test_a_server_that_takes_nothing_any_more_ends_the_sync_loudly(status, begun, lake, settings, syncer, proxy):
    proxy.rule = lambda request: Answer(status, {"error": {"type": "no"}}) if request.bulk > 3 else None
    with pytest.raises(SearchUnavailable, match=f"did not take the documents: {status}"):
        sync(lake, settings)
    assert differences(syncer)
    heals(lake, settings, syncer, proxy)


def test_a_connection_that_is_refused_at_the_start_or_midway(begun, lake, settings, syncer, proxy):
    nowhere = settings.model_copy(update={"elasticsearch_url": "http://127.0.0.1:9"})
    with pytest.raises(SearchUnavailable, match="did not answer"):
        sync(lake, nowhere)

    def gone(request: Request) -> None:
        if request.bulk > 2:
            raise Hangup

    proxy.rule = gone
    with pytest.raises(SearchUnavailable, match="did not answer to the documents"):
        sync(lake, settings)
    heals(lake, settings, syncer, proxy)


def test_items_that_stay_refused_are_in_the_ledger_by_video(begun, lake, settings, syncer, proxy):
    proxy.refused_items = lambda id_: id_.startswith(f"{7:020}")
    report = sync(lake, settings)
    assert (report.outcome, report.videos) == ("failed", 19)
    assert [failure["video_id"] for failure in report.failed] == [f"{7:020}"]
    assert "queue is full" in report.failed[0]["reason"]
    assert [difference.video_id for difference in differences(syncer)] == [f"{7:020}"]
    heals(lake, settings, syncer, proxy)


def test_a_video_that_could_not_be_announced_leaves_no_passages_behind(begun, lake, result, settings, syncer, proxy):
    assert sync(lake, settings).outcome == "done"
    proxy.refused_items = lambda id_: id_ == f"{7:020}"
    videos(lake, result, 20, text=LONG, last=10**16 + 10**6)
    assert [failure["video_id"] for failure in sync(lake, settings).failed] == [f"{7:020}"]
    videos(lake, result, 20, text="short", last=10**16 + 10**7)
    heals(lake, settings, syncer, proxy)


def test_a_response_that_is_always_cut_off(begun, lake, settings, syncer, proxy):
    def cut(request: Request) -> None:
        if request.bulk:
            raise Hangup(after=True)

    proxy.rule = cut
    with pytest.raises(SearchUnavailable, match="did not answer to the documents"):
        sync(lake, settings)
    heals(lake, settings, syncer, proxy)


def test_an_index_made_read_only_as_a_full_disk_does(begun, lake, settings, syncer, proxy):
    index = live_index(syncer.client, syncer.names)
    syncer.client.indices.put_settings(index=index, settings={"index.blocks.read_only_allow_delete": True})
    with pytest.raises(SearchUnavailable, match=r"takes no more documents: .*read-only"):
        sync(lake, settings)
    syncer.client.indices.put_settings(index=index, settings={"index.blocks.read_only_allow_delete": None})
    heals(lake, settings, syncer, proxy)


def test_a_field_that_the_mapping_has_otherwise(begun, lake, settings, syncer, proxy, monkeypatch):
    from tasks.search.elastic.documents import documents

    def wrong(connection, wanted):
        for video, whole, parts in documents(connection, wanted):
            unsure = replace(parts, shared={**parts.shared, "confidence": "sure"})
            yield video, whole, unsure if video.video_id[-1] == "5" else parts

    monkeypatch.setattr("tasks.search.elastic.push.documents", wrong)
    report = sync(lake, settings)
    assert {failure["video_id"] for failure in report.failed} == {f"{5:020}", f"{15:020}"}
    assert "document_parsing_exception" in report.failed[0]["reason"]
    monkeypatch.setattr("tasks.search.elastic.push.documents", documents)
    heals(lake, settings, syncer, proxy)


@pytest.mark.parametrize("when", ["before", "midway"])
def test_an_index_that_somebody_deletes_is_made_anew_and_never_by_chance(when, begun, lake, settings, syncer, proxy):
    index = live_index(syncer.client, syncer.names)

    def delete(request: Request) -> None:
        if request.bulk == 3:
            syncer.client.indices.delete(index=index)

    if when == "before":
        syncer.client.indices.delete(index=index)
        assert sync(lake, settings).kind == "rebuild"
    else:
        proxy.rule = delete
        with pytest.raises(SearchUnavailable):
            sync(lake, settings)
        assert list(syncer.client.indices.get(index=f"{settings.elasticsearch_prefix}*")) == []
    heals(lake, settings, syncer, proxy)


# -- killed -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bulk", "rebuilding"),
    [
        (1, True),
        (4, False),
        *(pytest.param(n, b, marks=pytest.mark.long) for n, b in [(1, False), (4, True), (9, False), (9, True)]),
    ],
)
def test_a_sync_that_is_killed_is_simply_run_again(bulk, rebuilding, begun, lake, settings, syncer, proxy, tmp_path):
    reached = threading.Event()

    def hold(request: Request) -> None:
        if request.bulk >= bulk:
            reached.set()
            time.sleep(0.3)

    proxy.rule = hold
    live = live_index(syncer.client, syncer.names)
    environment = command_environment(
        tmp_path,
        NIGHTSCRIBE_LAKE=lake.uri,
        NIGHTSCRIBE_ELASTICSEARCH_URL=proxy.url,
        NIGHTSCRIBE_ELASTICSEARCH_PREFIX=settings.elasticsearch_prefix,
    )
    code = "import tasks.search.elastic.push as p; p.CHUNK_VIDEOS = 4; from nightscribe.cli import run; run()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "sync", *(["--rebuild"] if rebuilding else [])], env=environment
    )
    assert reached.wait(60)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert live_index(syncer.client, syncer.names) == live
    heals(lake, settings, syncer, proxy)


# -- a rebuild under live search ----------------------------------------------------------------------------------------


def test_a_search_sees_no_error_and_no_empty_answer_while_the_index_is_rebuilt(begun, lake, settings, syncer):
    sync(lake, settings)
    stop, found, engines = threading.Event(), set(), set()

    def look() -> None:
        while not stop.is_set():
            said = answer(settings, lake, "word7 word8", engine="elasticsearch")
            found.add(said["total_videos"])
            engines.add(said["engine"])

    searching = threading.Thread(target=look)
    searching.start()
    before = live_index(syncer.client, syncer.names)
    for _ in range(3):
        assert rebuild(syncer).outcome == "done"
    stop.set()
    searching.join()
    assert live_index(syncer.client, syncer.names) != before
    assert (found, engines) == ({20}, {"elasticsearch"})
