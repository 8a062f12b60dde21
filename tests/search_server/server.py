"""Finds or starts an Elasticsearch to test with. In this order:

1. the one that `ELASTICSEARCH_URL` names;
2. the official image, where a Docker engine answers;
3. a node built from Maven's artifacts (`build.py`), where `mvn` and a JDK of Java 21 or newer are found;
4. none: `NoSearchServer` says in one line what is missing.

What is started here listens on 127.0.0.1 only and ends with the Python process, however that ends: it holds the write end
of a pipe that the server reads, and a killed process lets go of it too.

The built node is the real server: Lucene, REST, bulk, external versions, aliases, collapse, highlighters, suggesters, kNN,
points in time, significant_text. It lacks the modules that are not published as artifacts:

- rest-root: `GET /` is 405, so `client.info()` raises and `client.ping()` is False. Ask `client.cluster.health()`, and
  `client.nodes.info()` for the version.
- analysis-common: `LuceneAnalysis.java` has the filters asciifolding, edge_ngram, elision, lowercase, remove_duplicates,
  stemmer, trim, unique and uppercase, the tokenizers keyword, pattern and whitespace, and the character filters html_strip,
  mapping and pattern_replace. The server itself has standard, stop and shingle, and the analyzers standard, simple, stop,
  whitespace and keyword. There are no analyzers of languages, no synonyms, no word delimiters, no ngram.
- mapper-extras, parent-join, percolator, x-pack: no fields search_as_you_type, rank_feature, rank_features, scaled_float,
  match_only_text, token_count, join, percolator, wildcard, constant_keyword, unsigned_long, version or semantic_text; no
  query rank_feature.
- reindex: no `_reindex`, `_update_by_query`, `_delete_by_query`; synonym sets need the last of them.
- aggregations: no auto_date_histogram, adjacency_matrix, bucket_sort. terms, composite and the other histograms are there.
- lang-painless, lang-mustache, ingest-common, rank-eval: no scripts, search templates, processors, `_rank_eval`.
- x-pack: no security, API keys, licence, rank fusion (`rrf`), data streams, asynchronous searches, SQL, ES|QL.
- native code: vectors are compared in Java; the warning about it in the log is harmless.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from search_server.build import VERSION, NoSearchServer, built_server, default_cache
from search_server.container import IMAGE, container
from search_server.node import Node
from search_server.process import status


@dataclass(frozen=True)
class SearchServer:
    """An Elasticsearch that answers at `url`; `why` says which of the ways it came about."""

    url: str
    why: str
    node: Node | None = field(default=None, repr=False, compare=False)

    def kill(self) -> None:
        """Kill the server with SIGKILL. Only a built one can be killed and restarted (`running_server(only_built=True)`).

        Raises:
            RuntimeError: this one is not ours to kill.
        """
        self._ours().kill()

    def restart(self) -> None:
        """Start the server again on the same data and port, stopping it before if it runs."""
        self._ours().stop()
        self._ours().start()

    def _ours(self) -> Node:
        if self.node is None:
            raise RuntimeError(
                f"Only a built server can be killed and restarted; this one is there because {self.why}."
            )
        return self.node


@contextlib.contextmanager
def running_server(
    data: Path, *, port: int = 0, only_built: bool = False, fast: bool = False, cache: Path | None = None
) -> Iterator[SearchServer]:
    """An Elasticsearch for the time of a `with`.

    Args:
        data: folder of a built server, for its data, logs and temporary files; made when it is not there.
        port: of a built server; 0 is a free one.
        only_built: pass over `ELASTICSEARCH_URL` and Docker, for tests that kill the server and look at its data.
        fast: a built server that takes longer to start, for measurements and daily use.
        cache: where built servers are kept; `default_cache()` unless given.

    Raises:
        NoSearchServer: none is to be had.
    """
    given = os.environ.get("ELASTICSEARCH_URL", "").strip()
    if given and not only_built:
        if status(given) is None:
            raise NoSearchServer("ELASTICSEARCH_URL is set, but no Elasticsearch answers there: start it, or unset it")
        yield SearchServer(given, "ELASTICSEARCH_URL is set")
        return
    with contextlib.ExitStack() as stack:
        why_no_docker = "not asked for"
        if not only_built:
            try:
                url = stack.enter_context(container())
            except NoSearchServer as error:
                why_no_docker = str(error)
            else:
                yield SearchServer(url, f"Docker runs {IMAGE}")
                return
        try:
            node = Node(built_server(cache or default_cache()), data, port, fast=fast)
            stack.callback(node.stop)
            node.start()
        except NoSearchServer as error:
            docker = "" if only_built else f" (or set ELASTICSEARCH_URL, or start Docker: {why_no_docker})"
            raise NoSearchServer(f"no Elasticsearch: {error}{docker}") from error
        yield SearchServer(node.url, f"built from Maven's artifacts of {VERSION}", node)
