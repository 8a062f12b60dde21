"""Fixtures that give tests an Elasticsearch. A module that wants them imports them by name.

One server serves all tests of a run, however many modules import the fixture. Tests therefore use indices of their own,
named after `index_prefix`; on a server that `ELASTICSEARCH_URL` names there may be others.
"""

from __future__ import annotations

import contextlib
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from elasticsearch import Elasticsearch

from search_server.build import NoSearchServer
from search_server.server import SearchServer, running_server

# A fixture that is imported by two modules is two fixtures to pytest: the server is kept with the run instead.
SHARED = pytest.StashKey[SearchServer | NoSearchServer]()


@pytest.fixture(scope="session")
def search_server(request: pytest.FixtureRequest) -> SearchServer:
    """A server that answers; the test is skipped, with one line that says what to install, where there is none."""
    stash = request.config.stash
    if SHARED not in stash:
        with contextlib.ExitStack() as stack:
            data = stack.enter_context(tempfile.TemporaryDirectory(prefix="nightscribe-elasticsearch-"))
            try:
                stash[SHARED] = stack.enter_context(running_server(Path(data)))
            except NoSearchServer as error:
                stash[SHARED] = error
            request.config.add_cleanup(stack.pop_all().close)
    found = stash[SHARED]
    if isinstance(found, NoSearchServer):
        pytest.skip(str(found))
    return found


@pytest.fixture
def search_client(search_server: SearchServer) -> Iterator[Elasticsearch]:
    """The official client, closed after the test."""
    with Elasticsearch(search_server.url, request_timeout=60) as client:
        yield client


@pytest.fixture
def index_prefix(search_client: Elasticsearch) -> Iterator[str]:
    """How the names of a test's indices begin. What is named so is deleted after the test."""
    prefix = f"nightscribe-test-{uuid.uuid4().hex[:12]}"
    yield prefix
    names = sorted(search_client.indices.get(index=f"{prefix}*"))
    if names:
        search_client.indices.delete(index=names)
