"""The Elasticsearch that other tests use: it answers as a full one would, keeps its data over a kill, and leaves nothing."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from conftest import REPO
from elasticsearch import ConflictError, Elasticsearch
from elasticsearch.helpers import bulk
from search_server.build import NoSearchServer
from search_server.fixtures import index_prefix, search_client, search_server  # noqa: F401
from search_server.process import status
from search_server.server import running_server

ANALYSIS = {
    "char_filter": {"cedillas": {"type": "mapping", "mappings": ["ş => ș", "\\u0163 => ț"]}},
    "filter": {
        "kept": {"type": "asciifolding", "preserve_original": True},
        "english": {"type": "stemmer", "language": "english"},
        "romanian": {"type": "stemmer", "name": "romanian"},
        "begins": {"type": "edge_ngram", "min_gram": 2, "max_gram": 4},
    },
    "normalizer": {"plain": {"type": "custom", "filter": ["lowercase", "asciifolding"]}},
    "analyzer": {
        "folded": {"tokenizer": "standard", "filter": ["lowercase", "asciifolding"]},
        "both": {"tokenizer": "standard", "filter": ["lowercase", "kept"]},
        "english": {"tokenizer": "standard", "filter": ["lowercase", "asciifolding", "english"]},
        "romanian": {
            "tokenizer": "standard",
            "char_filter": ["cedillas"],
            "filter": ["lowercase", "romanian", "asciifolding"],
        },
        "begins": {"tokenizer": "whitespace", "filter": ["lowercase", "begins", "unique"]},
    },
}
MAPPINGS = {
    "properties": {
        "text": {"type": "text", "analyzer": "english", "fields": {"folded": {"type": "text", "analyzer": "folded"}}},
        "place": {"type": "keyword", "normalizer": "plain"},
    }
}


@pytest.fixture
def index(search_client, index_prefix) -> str:
    """An index of two documents."""
    name = f"{index_prefix}-talks"
    search_client.indices.create(index=name, settings={"analysis": ANALYSIS}, mappings=MAPPINGS)
    documents = {"1": ("The elections in Besançon", "Besançon"), "2": ("Football tonight", "Łódź")}
    actions = [{"_index": name, "_id": key, "text": text, "place": place} for key, (text, place) in documents.items()]
    assert bulk(search_client, actions, refresh="wait_for") == (2, [])
    return name


def found(client: Elasticsearch, index: str, **query: object) -> list[str]:
    return [hit["_id"] for hit in client.search(index=index, query=query)["hits"]["hits"]]


def test_the_server_answers_and_says_how_it_came_about(search_server, search_client):
    assert search_server.why
    assert search_client.cluster.health()["status"] in ("green", "yellow")
    versions = {node["version"] for node in search_client.nodes.info()["nodes"].values()}
    assert {version.split(".")[0] for version in versions} == {"9"}


def test_what_was_sent_in_bulk_is_found(search_client, index):
    assert found(search_client, index, match={"text": "football"}) == ["2"]
    assert found(search_client, index, match={"text": "chess"}) == []


def test_accents_are_folded_in_words_and_in_keywords(search_client, index):
    assert found(search_client, index, match={"text.folded": "besancon"}) == ["1"]
    assert found(search_client, index, term={"place": "lodz"}) == ["2"]


def test_elections_match_election(search_client, index):
    assert found(search_client, index, match={"text": "election"}) == ["1"]
    assert found(search_client, index, match={"text.folded": "election"}) == []


@pytest.mark.parametrize(
    ("analyzer", "text", "words"),
    [
        ("both", "Élan", ["elan", "élan"]),
        ("romanian", "Ştirile Știrile", ["stir", "stir"]),
        ("begins", "central cent", ["ce", "cen", "cent"]),
    ],
)
def test_filters_have_the_parameters_of_a_full_server(search_client, index, analyzer, text, words):
    tokens = search_client.indices.analyze(index=index, analyzer=analyzer, text=text)["tokens"]
    assert [token["token"] for token in tokens] == words


def test_an_older_external_version_is_a_conflict(search_client, index):
    def put(version: int) -> None:
        search_client.index(index=index, id="3", document={}, version=version, version_type="external")

    put(7)
    for version in (6, 7):
        with pytest.raises(ConflictError) as refused:
            put(version)
        assert refused.value.status_code == 409
    put(8)


@pytest.mark.long
def test_data_survive_a_kill_and_nothing_is_left_afterwards(tmp_path):
    try:
        with running_server(tmp_path / "server", only_built=True) as server:
            with Elasticsearch(server.url, request_timeout=60) as client:
                client.index(index="talks", id="1", document={"text": "kept"})
                server.kill()
                assert status(server.url) is None
                server.restart()
                assert client.get(index="talks", id="1")["_source"] == {"text": "kept"}
            assert server.node is not None
            assert server.node.process is not None
            last = server.node.process.pid
    except NoSearchServer as error:
        pytest.skip(str(error))
    assert not psutil.pid_exists(last)
    assert status(server.url) is None


def test_the_server_ends_when_its_parent_is_killed(tmp_path):
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom search_server.server import NoSearchServer, running_server\n"
        "try:\n"
        "    with running_server(Path(sys.argv[1]), only_built=True) as server:\n"
        "        print(server.url, server.node.process.pid, flush=True)\n"
        "        time.sleep(600)\n"
        "except NoSearchServer as error:\n    print(error)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "server")]
    with subprocess.Popen(command, cwd=REPO / "tests", stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        said = parent.stdout.readline().strip()
        if not said.startswith("http"):
            pytest.skip(said)
        url, process = said.split()
        assert status(url) == "green"
        parent.send_signal(signal.SIGKILL)
    limit = time.monotonic() + 30
    while psutil.pid_exists(int(process)) and time.monotonic() < limit:
        time.sleep(0.1)
    assert not psutil.pid_exists(int(process))
    assert status(url) is None


def test_what_is_missing_is_said_in_one_line(tmp_path, monkeypatch):
    monkeypatch.delenv("ELASTICSEARCH_URL", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoSearchServer, match="Maven") as none, running_server(tmp_path, cache=Path(tmp_path) / "cache"):
        pass
    assert "\n" not in str(none.value)
    assert "ELASTICSEARCH_URL" in str(none.value)


def test_an_address_where_nothing_answers_is_not_passed_over(tmp_path, monkeypatch):
    monkeypatch.setenv("ELASTICSEARCH_URL", "http://127.0.0.1:9")
    with pytest.raises(NoSearchServer, match="ELASTICSEARCH_URL"), running_server(tmp_path):
        pass
