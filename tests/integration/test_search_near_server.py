"""What is near a vector, asked of Elasticsearch: as the lake answers, but for a few that its graph leaves out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from typing import Any

import duckdb
import numpy as np
import pytest
from conftest import with_rows
from search_server.engines import index_prefix, search_client, search_server, settings  # noqa: F401
from search_server.syncs import video_id

from tasks.erasure.forget import find_videos, forget
from tasks.errors import BadQuery, SearchUnavailable
from tasks.lake.commit import commit
from tasks.lake.store import Lake
from tasks.lake.views import connect
from tasks.models.packing import packed
from tasks.records import Result
from tasks.search import near_scan, nearest
from tasks.search.answer import elastic
from tasks.search.elastic import near
from tasks.search.elastic.index import live_index
from tasks.search.elastic.sync import sync
from tasks.search.elastic.syncer import Syncer
from tasks.search.elastic.verify import verify
from tasks.search.filters import Filters
from tasks.search.near_kinds import KINDS
from tasks.search.near_scan import NearQuery
from tasks.settings import Settings

PICTURES, SOUNDS = KINDS["pictures"], KINDS["sounds"]
VIDEOS, FRAMES, SIZE = 30, 20, 64
SCENES = 40  # what pictures may be of: without any, all would be equally far from each other


@pytest.fixture
def vectors() -> Callable[..., np.ndarray]:
    """Draws so many vectors of unit length about some scenes."""
    rng = np.random.default_rng(5)
    scenes = rng.standard_normal((SCENES, SIZE))

    def drawn(count: int, size: int = SIZE) -> np.ndarray:
        around = scenes[rng.integers(SCENES, size=count), :size] + 0.5 * rng.standard_normal((count, size))
        made: np.ndarray = (around / np.linalg.norm(around, axis=1, keepdims=True)).astype(np.float32)
        return made

    return drawn


@pytest.fixture
def film(result: Callable[..., Any]) -> Callable[..., Result]:
    """A video with pictures and sounds of these vectors; the first picture is seen again at the end."""

    def made(key: str, pictures: np.ndarray, sounds: np.ndarray, said: str = "", **fields: Any) -> Result:
        frames = [
            {"start_ms": 1000 * n, "end_ms": 1000 * (n + 1), "shot": n, "picture": n, "vector": row, "scale": scale}
            for n, (row, scale) in enumerate(zip(*packed(pictures), strict=True))
        ]
        end = 1000 * len(frames)
        frames.append({**frames[0], "start_ms": end, "end_ms": end + 1000, "vector": None, "scale": None})
        pieces = [
            {"start_ms": 5000 * n, "end_ms": 5000 * n + 10_000, "piece": n, "vector": row, "scale": scale}
            for n, (row, scale) in enumerate(zip(*packed(sounds), strict=True))
        ]
        status = "indexed" if said else "no_speech"
        return with_rows(
            result(said, key=key, video_id=video_id(key), status=status, **fields), frames=frames, sounds=pieces
        )

    return made


@pytest.fixture
def archive(lake: Lake, film, vectors) -> list[str]:
    years = [datetime(2020 + n % 3, 1, 1, tzinfo=UTC) for n in range(VIDEOS)]
    films = [
        film(f"{n:02}.mp4", vectors(FRAMES), vectors(4, 32), "hello there" if n % 2 else "", published_at=years[n])
        for n in range(VIDEOS)
    ]
    commit(lake, films, run_id="r", device="cpu")
    return [one.work.video_id for one in films]


@pytest.fixture
def synced(archive, lake: Lake, settings: Settings) -> Settings:
    report = sync(lake, settings)
    assert (report.outcome, report.videos, report.vectors) == ("done", VIDEOS, VIDEOS * (FRAMES + 4))
    return settings


@pytest.fixture
def connection(lake: Lake, archive) -> Iterator[duckdb.DuckDBPyConnection]:
    with connect(lake) as opened:
        yield opened


def recipes(connection: duckdb.DuckDBPyConnection, kind: str = "frames") -> list[str]:
    return [one for (one,) in connection.execute(f"SELECT DISTINCT recipe FROM current_{kind}").fetchall()]


def ask(settings: Settings, lake: Lake, connection, query: NearQuery, kind=PICTURES, engine="elasticsearch"):
    return nearest.nearest(settings, lake, connection, kind, query, recipes(connection, kind.table), engine=engine)


def best(found: dict[str, Any]) -> list[tuple[str, int]]:
    return [(video["video_id"], video["moments"][0]["start_ms"]) for video in found["videos"]]


def test_both_engines_agree_on_the_first_ten(synced, lake, connection, vectors):
    same = []
    for kind, wished in [*((PICTURES, one) for one in vectors(12)), *((SOUNDS, one) for one in vectors(4, 32))]:
        query = NearQuery(wished, limit=10)
        there, here = (ask(synced, lake, connection, query, kind, engine) for engine in ("elasticsearch", "duckdb"))
        assert (there["engine"], here["engine"]) == ("elasticsearch", "duckdb")
        assert there.keys() == here.keys()
        assert [there[name] for name in ("mode", "total_videos", "total_moments", "next")] == [
            here[name] for name in ("mode", "total_videos", "total_moments", "next")
        ]
        same.append(len(set(best(there)) & set(best(here))) / 10)
        by_id = {video["video_id"]: video for video in here["videos"]}
        for video in there["videos"]:
            other = by_id.get(video["video_id"])
            if other:
                assert video["score"] == pytest.approx(other["score"], abs=0.01)
                assert {**video, "score": 0, "moments": 0} == {**other, "score": 0, "moments": 0}
                shown, expected = ({m["start_ms"]: m for m in one["moments"]} for one in (video, other))
                for start in shown.keys() & expected.keys():
                    assert {**shown[start], "similarity": 0} == {**expected[start], "similarity": 0}
    assert np.mean(same) >= 0.95, "the share of the first ten that both engines find"


def test_a_picture_that_is_seen_again_has_both_times(synced, lake, connection, archive):
    [(row, scale)] = connection.execute(
        "SELECT vector, scale FROM frames WHERE video_id = $1 AND picture = 0 AND scale IS NOT NULL", [archive[7]]
    ).fetchall()
    found = ask(synced, lake, connection, NearQuery(np.frombuffer(row, np.int8) * np.float32(scale), moments=1))
    [moment] = found["videos"][0]["moments"]
    assert (found["videos"][0]["video_id"], moment["times"], moment["shot"]) == (archive[7], [0, 1000 * FRAMES], 0)
    assert moment["similarity"] > 0.999


def test_pages_and_filters_are_those_of_the_lake(synced, lake, connection, vectors, archive):
    [wished] = vectors(1)
    whole = best(ask(synced, lake, connection, NearQuery(wished, limit=VIDEOS)))
    assert len(whole) == VIDEOS
    pages, offset = [], 0
    while offset is not None:
        page = ask(synced, lake, connection, NearQuery(wished, limit=25, offset=offset))
        pages += best(page)
        offset = page["next"]
    assert {video for video, _ in pages} == {video for video, _ in whole}
    for filters in (Filters(since=date(2021, 6, 1)), Filters(min_confidence=0.5), Filters(language="en")):
        query = NearQuery(wished, filters, limit=VIDEOS, moments=1)
        there, here = (ask(synced, lake, connection, query, engine=engine) for engine in ("elasticsearch", "duckdb"))
        assert set(best(there)) == set(best(here))
        assert there["total_videos"] == here["total_videos"] > 0
    one = ask(synced, lake, connection, NearQuery(wished, video=archive[3], moments=100))
    assert [video["video_id"] for video in one["videos"]] == [archive[3]]
    assert len(one["videos"][0]["moments"]) == one["total_moments"] == FRAMES
    none = ask(synced, lake, connection, NearQuery(wished, Filters(topic="none")))
    assert (none["videos"], none["total_videos"], none["next"]) == ([], 0, None)


def test_what_is_like_a_moment_is_not_that_moment(synced, lake, connection, archive):
    query, of = near_scan.like(connection, PICTURES, archive[5], 4500, moments=FRAMES)
    there, here = (
        nearest.nearest(synced, lake, connection, PICTURES, query, of, engine=engine)
        for engine in ("elasticsearch", "duckdb")
    )
    assert there["total_moments"] == here["total_moments"] == VIDEOS * FRAMES - 1
    own = [moment for video in there["videos"] if video["video_id"] == archive[5] for moment in video["moments"]]
    assert 4000 not in [moment["start_ms"] for moment in own]


def test_vectors_are_not_found_by_words(synced, lake):
    with elastic(synced, lake) as searcher:
        found = searcher.post({"query": {"match": {"title": "talk"}}, "size": 0, "track_total_hits": True})
        passages = searcher.post({"query": {"exists": {"field": "text"}}, "size": 0, "track_total_hits": True})
    videos_and_passages = VIDEOS + passages["hits"]["total"]["value"]
    assert found["hits"]["total"]["value"] == videos_and_passages, "of vectors no title is asked"


def test_the_lake_answers_until_there_are_many(synced, lake, connection, vectors, monkeypatch):
    query = NearQuery(vectors(1)[0])
    assert ask(synced, lake, connection, query, engine="auto")["engine"] == "duckdb"
    monkeypatch.setattr(nearest, "FEW", VIDEOS * FRAMES)
    assert ask(synced, lake, connection, query, engine="auto")["engine"] == "elasticsearch"
    assert ask(synced, lake, connection, NearQuery(query.wished, within={}), engine="auto")["engine"] == "duckdb"
    of_one = NearQuery(query.wished, video=video_id("00.mp4"))
    assert ask(synced, lake, connection, of_one, engine="auto")["engine"] == "duckdb"
    with pytest.raises(BadQuery, match="is looked for in the lake"):
        ask(synced, lake, connection, NearQuery(query.wished, within={}))
    away = synced.model_copy(update={"elasticsearch_url": "http://127.0.0.1:1"})
    found = ask(away, lake, connection, query, engine="auto")
    assert (found["engine"], len(found["videos"])) == ("duckdb", 10)
    assert "does not answer" in found["fallback_reason"]
    with pytest.raises(SearchUnavailable):
        ask(away, lake, connection, query)


def test_pages_beyond_its_reach_are_the_lakes(synced, lake, connection, vectors, monkeypatch):
    query = NearQuery(vectors(1)[0], limit=VIDEOS)
    monkeypatch.setattr(near, "MOST", 30)
    with pytest.raises(BadQuery, match="The 30 nearest, which is as far as Elasticsearch looks, are of"):
        ask(synced, lake, connection, query)
    monkeypatch.setattr(nearest, "FEW", 0)
    found = ask(synced, lake, connection, query, engine="auto")
    assert (found["engine"], len(found["videos"])) == ("duckdb", VIDEOS)
    assert found["fallback_reason"] is None, "it was not away"


def test_another_models_vectors_lie_beside_those_of_the_first(synced, lake, film, vectors, connection):
    """Their size is another, and Elasticsearch takes one size a field."""
    commit(lake, [film("new.mp4", vectors(3, 48), vectors(1, 32), "hello there")], run_id="r", device="cpu")
    new = video_id("new.mp4")
    assert sync(lake, synced).failed == []
    with connect(lake) as opened:
        [(recipe,)] = opened.execute("SELECT recipe FROM current_frames WHERE video_id = $1", [new]).fetchall()
        assert recipe == recipes(connection)[0], "the fixture's, for all of them"
        found = ask(synced, lake, opened, NearQuery(vectors(1, 48)[0], video=new))
    assert found["total_videos"] == 1
    assert len(found["videos"][0]["moments"]) == 3


def test_a_video_without_a_document_of_its_own_is_left_out(synced, lake, connection, vectors, archive, search_client):
    """Its document is sent last: of a load that broke off there may be vectors alone."""
    query = NearQuery(vectors(1)[0], limit=VIDEOS)
    syncer = Syncer.of(lake, synced)
    search_client.delete(index=live_index(syncer.client, syncer.names), id=archive[2], refresh=True)
    found = ask(synced, lake, connection, query)
    assert {video["video_id"] for video in found["videos"]} == {*archive} - {archive[2]}
    first = ask(synced, lake, connection, NearQuery(query.wished, limit=VIDEOS // 2))
    rest = ask(synced, lake, connection, NearQuery(query.wished, limit=VIDEOS, offset=first["next"]))
    assert len(first["videos"]) + len(rest["videos"]) == VIDEOS - 1


def test_an_index_that_has_no_vectors_yet_leaves_it_to_the_lake(
    lake, film, vectors, archive, settings, connection, monkeypatch
):
    with monkeypatch.context() as before:
        before.setattr("tasks.search.elastic.documents.KINDS", {})
        before.setattr("tasks.search.elastic.documents._EVERY_VECTOR", "SELECT video_id FROM video_facts WHERE false")
        before.setattr("tasks.search.elastic.rebuild.gate", lambda *given: [])
        assert sync(lake, settings).vectors == 0
    query = NearQuery(vectors(1)[0])
    with pytest.raises(BadQuery, match="has no frames yet") as caught:
        ask(settings, lake, connection, query)
    assert caught.value.next == "nightscribe sync"
    monkeypatch.setattr(nearest, "FEW", 0)
    found = ask(settings, lake, connection, query, engine="auto")
    assert (found["engine"], found["fallback_reason"], len(found["videos"])) == ("duckdb", None, 10)


def test_fewer_vectors_and_none_of_a_forgotten_video_stay(
    synced, lake, film, vectors, archive, search_client, long, monkeypatch
):
    fewer = film("03.mp4", vectors(2), vectors(0), last_generation=1, fingerprint="2-2")
    commit(lake, [fewer], run_id="r", device="cpu")
    assert sync(lake, synced).outcome == "done"
    syncer = Syncer.of(lake, synced)
    index = live_index(syncer.client, syncer.names)
    assert verify(syncer, index) == []

    def there(video_id: str) -> int:
        found = {"bool": {"filter": [{"term": {"video_id": video_id}}, {"exists": {"field": "number"}}]}}
        search_client.indices.refresh(index=index)
        return int(search_client.count(index=index, query=found)["count"])

    assert there(archive[3]) == 2
    if not long:
        monkeypatch.setattr("tasks.search.elastic.erase.WAIT_S", 0.0)
    forget(lake, synced, find_videos(lake, [archive[4]]))
    assert (there(archive[4]), there(archive[5])) == (0, FRAMES + 4)
    if long:
        assert search_client.indices.stats(index=index, metric="docs")["_all"]["primaries"]["docs"]["deleted"] == 0
    assert verify(syncer, index) == []
