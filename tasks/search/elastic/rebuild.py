"""A new index from the lake, beside the one that answers, and the gate it must pass before it takes over."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import duckdb
from elasticsearch import ApiError, TransportError

from tasks.lake.views import Snapshot, connect
from tasks.lake.vocabulary import spoken_languages
from tasks.search import duck
from tasks.search.elastic import ask
from tasks.search.elastic.changes import seen
from tasks.search.elastic.connection import Connection, reached
from tasks.search.elastic.documents import PARTS, TABLES, VECTORS, current
from tasks.search.elastic.index import create_index, give_up, live_index, ready, remove_given_up, swap
from tasks.search.elastic.push import push
from tasks.search.elastic.syncer import Syncer, SyncReport, bring_up, finish, recorded
from tasks.search.elastic.target import Target
from tasks.search.query import Query
from tasks.search.trial import differing, drawn_queries, golden_queries, unquoted


def rebuild(syncer: Syncer) -> SyncReport:
    """Load a new index, compare its counts and answers with the lake's, swap the aliases, then send what changed meanwhile.

    When the gate stays shut, the index that answered goes on answering, and the new one is left for a look at it until
    the next rebuild or `maintain` removes it. Where there was none, a new one that lacks some videos takes over too: the
    ledger has them, and the next sync needs to send only these.

    Raises:
        SearchUnavailable: Elasticsearch does not answer; the index that answered still does.
    """
    report = SyncReport(kind="rebuild")
    with recorded(syncer, report):
        snapshot = Snapshot.of(syncer.lake, TABLES)
        connection = connect(syncer.lake, snapshot, lean=True, history=False)
        languages = spoken_languages(connection)
        golden = golden_queries(syncer.settings, languages)  # before the work: the file may be missing
        with reached("a new index"):
            first = live_index(syncer.client, syncer.names) is None
            remove_given_up(syncer.client, syncer.names)
            index = create_index(syncer.client, syncer.names, syncer.lake_id, syncer.settings.elasticsearch_shards)
        report.index, report.lake_version = index, snapshot.version
        report.lake_files = seen(snapshot)
        with _dropped_on_error(syncer, index):
            report.count(push(Target(syncer.client, index), connection, current(connection), announced=False))
            with reached("the end of the loading"):
                ready(syncer.client, index)
            finish(syncer, report, languages)
            problems = [] if report.failed else gate(syncer, connection, index, golden)
        if problems or (report.failed and not first):
            report.outcome = "failed"
            report.shortfall = unquoted(" ".join([report.shortfall, *problems]).strip())
            report.notes += [*problems, f"So no alias was changed; {index} is left to be looked at."]
            with reached("a note on the new index"):
                give_up(syncer.client, index)
            return report
        with reached("the swap of the aliases"):
            for old in swap(syncer.client, syncer.names, index):
                report.notes.append(f"{old} is no longer asked; maintain removes it later.")
            taken = live_index(syncer.client, syncer.names)
        report.notes.append(f"{index} answers now.")
        if taken == index and not report.failed:
            bring_up(syncer, report)
    return report


@contextlib.contextmanager
def _dropped_on_error(syncer: Syncer, index: str) -> Iterator[None]:
    """A new index whose loading broke off is of no use; it goes, if the server can still be reached."""
    try:
        yield
    except Exception:
        with contextlib.suppress(ApiError, TransportError):
            syncer.client.indices.delete(index=index, ignore_unavailable=True)
        raise


def gate(syncer: Syncer, connection: duckdb.DuckDBPyConnection, index: str, golden: Sequence[Query] = ()) -> list[str]:
    """What a new index does not have or answers otherwise than the lake; empty when it may take over."""
    problems = _counts(syncer, connection, index)
    if problems:
        return problems
    with ask.Searcher(Connection.of(syncer.settings), index, syncer.lake_id) as searcher:
        for query in (*drawn_queries(connection), *golden):
            problems += differing(query, duck.search(connection, query), searcher.search(query))
    return problems


def _counts(syncer: Syncer, connection: duckdb.DuckDBPyConnection, index: str) -> list[str]:
    row = connection.execute(
        "SELECT (SELECT count(*) FROM video_facts), "
        "(SELECT coalesce(sum(rows), 0) FROM (FROM current_passages UNION ALL FROM current_screen))"
        f"{''.join(f', (SELECT count(scale) FROM {table})' for table in VECTORS)}"
    ).fetchone()
    assert row is not None
    problems = []
    for kind, expected in zip(("video", *PARTS), map(int, row), strict=True):
        with reached("a count"):
            found = syncer.client.count(index=index, query={"term": {"kind": kind}})["count"]
        if found != expected:
            problems.append(f"The lake has {expected} documents of kind {kind}, the new index {found}.")
    return problems
