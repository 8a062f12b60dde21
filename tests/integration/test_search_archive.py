"""The sample archive and real media indexed, brought to a real Elasticsearch by the run itself, and searched on both."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pytest
from conftest import BUCKET, command_environment
from forked import nightscribe
from search_server.fixtures import index_prefix, search_client, search_server  # noqa: F401
from sessions import cut

from flows.sync import sync as flow
from tasks.errors import SearchUnavailable
from tasks.lake.store import Lake
from tasks.lake.views import connect
from tasks.search.answer import duck, elastic
from tasks.search.elastic.index import live_index
from tasks.search.elastic.syncer import Syncer
from tasks.search.elastic.verify import verify
from tasks.search.query import make_query
from tasks.settings import Settings

QUESTIONS = 30


class Archive:
    """A bucket, a lake and an index of its own."""

    def __init__(self, folder: Path, url: str, prefix: str) -> None:
        self.bucket, self.lake = folder / "bucket", Lake(str(folder / "lake"))
        self.settings = Settings(elasticsearch_url=url, elasticsearch_prefix=prefix)
        self.environment = command_environment(
            folder, NIGHTSCRIBE_ELASTICSEARCH_URL=url, NIGHTSCRIBE_ELASTICSEARCH_PREFIX=prefix
        )

    def run(self, *arguments: str, code: int | None = 0, **environment: str) -> dict:
        done = nightscribe(*arguments, "--json", env={**self.environment, **environment})
        assert code is None or done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return json.loads(done.stdout)

    def agree(self, text: str, *, phrase: bool = False, **options: object) -> dict:
        """The answer of the lake, after seeing that Elasticsearch gives the same videos, moments and times."""
        query = make_query(text, phrase=phrase, limit=100, moments=100, **options)
        with elastic(self.settings, self.lake) as searcher:
            found, expected = searcher.search(query), duck(self.lake).search(query)
        for name in ("total_videos", "total_moments"):
            assert found[name] == expected[name], text
        moments = [
            {video["key"]: (video["topics"], video["title"], video["moments"]) for video in one["videos"]}
            for one in (found, expected)
        ]
        assert moments[0] == moments[1], text
        return expected


@pytest.fixture
def archive(tmp_path, search_server, index_prefix, monkeypatch) -> Archive:
    monkeypatch.setattr("tasks.search.trial.DRAWN", 5)
    return Archive(tmp_path, search_server.url, index_prefix)


def test_a_run_brings_elasticsearch_up_and_both_engines_agree(archive, tmp_path, long):
    left_out = () if long else ("entertainment", "sport", "tech")
    shutil.copytree(BUCKET, archive.bucket, ignore=shutil.ignore_patterns(*left_out))
    report = archive.run("index", str(archive.bucket), code=None)
    assert report["search"]["outcome"] == "done"
    assert report["search"]["videos"] == (10 if long else 5)
    found = archive.run("search", "central bank")
    assert (found["engine"], found["videos"][0]["key"]) == ("elasticsearch", "business/interest-rates.mp4")
    assert (
        archive.run("search", "central bank", "--engine", "duckdb")["videos"][0]["moments"]
        == (found["videos"][0]["moments"])
    )
    assert agreed(archive) > QUESTIONS * 0.6
    syncer = Syncer.of(archive.lake, archive.settings)
    index = live_index(syncer.client, syncer.names)
    assert index
    assert verify(syncer, index) == []

    (archive.bucket / "business" / "interest-rates.mp4").unlink()
    gone = archive.run("index", str(archive.bucket), code=None)
    assert (gone["gone"], gone["search"]["outcome"]) == (1, "done")
    assert archive.run("search", "central bank")["videos"] == []
    again = archive.run("index", str(archive.bucket), code=0)
    assert (again["search"]["outcome"], again["search"]["videos"]) == ("done", 0)

    shutil.copy(BUCKET / "business" / "interest-rates.mp4", archive.bucket / "business" / "rates-again.mp4")
    away = archive.run("index", str(archive.bucket), code=1, NIGHTSCRIBE_ELASTICSEARCH_URL="http://127.0.0.1:9")
    assert away["indexed"] == 1
    assert away["search"]["outcome"] == "failed"
    assert any("nightscribe sync" in warning for warning in away["warnings"])
    assert archive.run("sync")["videos"] == 1
    assert archive.run("search", "central bank")["videos"][0]["key"] == "business/rates-again.mp4"


@pytest.mark.long
def test_a_run_that_is_not_to_sync_says_so_and_a_later_sync_brings_what_it_left(archive, search_server, index_prefix):
    archive.bucket.mkdir()
    cut(archive.bucket / "one.wav", 4)
    archive.run("index", str(archive.bucket))
    cut(archive.bucket / "two.wav", 5)
    left = archive.run("index", str(archive.bucket), "--no-sync")
    assert (left["indexed"], left["search"]) == (1, {"outcome": "skipped", "next": "nightscribe sync"})
    assert archive.run("status")["search"]["lag_videos"] == 1
    # A server that is away is not noticed; nor is one by a run that has nothing to do.
    again = archive.run("index", str(archive.bucket), "--no-sync", NIGHTSCRIBE_ELASTICSEARCH_URL="http://127.0.0.1:9")
    assert (again["unchanged"], again["search"]["outcome"]) == (2, "skipped")
    said = nightscribe("index", archive.bucket, "--no-sync", env=archive.environment, check=True)
    assert said.stdout == (
        "Nothing left to do: 2 of 2 videos are up to date. "
        "Elasticsearch was left as it is (--no-sync); nightscribe sync brings it up to the lake.\n"
    )
    assert archive.run("sync")["videos"] == 1
    assert archive.run("status")["search"]["lag_videos"] == 0

    # The address may also be where other programs look for it.
    del archive.environment["NIGHTSCRIBE_ELASTICSEARCH_URL"]
    assert archive.run("search", "hello", ELASTICSEARCH_URL=search_server.url)["engine"] == "elasticsearch"
    assert archive.run("index", str(archive.bucket), ELASTICSEARCH_URL=search_server.url)["search"]["outcome"] == "done"
    assert archive.run("index", str(archive.bucket), ELASTICSEARCH_URL="")["search"] is None
    assert archive.run("index", str(archive.bucket), "--no-sync")["search"] is None


def agreed(archive: Archive) -> int:
    """Ask words and phrases drawn from the archive, some mistyped or cut short; how many found something."""
    rng = random.Random(5)
    texts = [row[0].split() for row in connect(archive.lake).execute("SELECT text FROM passages").fetchall()]
    some = 0
    for _ in range(QUESTIONS):
        words = rng.choice(texts)
        at, length = rng.randrange(len(words)), rng.choice([1, 1, 2, 3, 6])
        typed = words[at : at + length]
        kind = rng.choice(["words", "phrase", "prefix", "typo"])
        if kind == "prefix" and len(typed[-1]) > 2:
            typed = [*typed[:-1], f"{typed[-1][:-1]}*"]
        if kind == "typo" and len(typed[0]) > 4:
            typed = [typed[0][:2] + typed[0][3:], *typed[1:]]
        some += bool(archive.agree(" ".join(typed), phrase=kind == "phrase", typos=kind == "typo")["total_videos"])
    return some


@pytest.mark.long
def test_real_media_are_found_alike_on_both_engines(archive, testdata):
    archive.bucket.mkdir()
    for path in (testdata / "media").glob("speech_*"):
        if path.suffix in (".mp4", ".mkv", ".mov", ".webm"):
            shutil.copy(path, archive.bucket / path.name)
    report = archive.run("index", str(archive.bucket), code=None)
    assert report["indexed"] >= 5
    assert report["search"]["outcome"] == "done"
    assert agreed(archive) > QUESTIONS * 0.5


def test_the_flow_fails_where_the_index_lacks_something(lake, monkeypatch):
    short = {"outcome": "failed", "failed": [1, 2], "shortfall": "Videos that were refused: 2."}
    monkeypatch.setattr("flows.sync.sync_search", lambda uri, settings: short)
    with pytest.raises(SearchUnavailable, match="were refused: 2"):
        flow.fn(lake=lake.uri)
