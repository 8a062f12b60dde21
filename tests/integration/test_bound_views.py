"""Views that are copied are those that were bound: the same names, columns and rows."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest
from copied import Archive, archive  # noqa: F401

from tasks.lake import bound
from tasks.lake.bound import Views
from tasks.lake.store import Lake
from tasks.lake.views import connect

EVERY_VIEW = "SELECT view_name, sql FROM duckdb_views() WHERE NOT internal ORDER BY ALL"


@pytest.fixture(autouse=True)
def nothing_bound(monkeypatch) -> None:
    monkeypatch.setattr(bound, "_files", {})


def seen(connection: duckdb.DuckDBPyConnection) -> dict[str, object]:
    """The text of every view of the lake, and what it has."""
    named = connection.execute(EVERY_VIEW).fetchall()
    assert len(named) > 20
    rows = {name: connection.execute(f"SELECT * FROM {name} ORDER BY ALL") for name, _ in named}
    return {"sql": named, **{name: (r.description, r.fetchall()) for name, r in rows.items()}}


@pytest.mark.parametrize(("lean", "history"), [(False, True), (True, True), (True, False)])
def test_the_third_connection_has_what_the_first_had(lake, say, lean, history):
    say("hello there | world", "a.mp4", topic="tech")
    first, second, third = (connect(lake, lean=lean, history=history) for _ in range(3))
    assert [path is not None for path in bound._files.values()] == [True]
    assert seen(third) == seen(second) == seen(first)
    say("other words", "b.mp4")
    later = connect(lake, lean=lean, history=history)
    assert later.execute("SELECT count(*) FROM words").fetchone() == (5,)
    assert third.execute("SELECT count(*) FROM words").fetchone() == (3,), "on its own snapshot"


def test_a_lake_with_shared_rows_has_views_of_its_own(archive: Archive):
    alone = seen(connect(archive.lake))
    archive.copy("first.mp4", "copy.mp4")
    bound._files.clear()
    first, second, third = (connect(archive.lake) for _ in range(3))
    assert seen(third) == seen(second) == seen(first) != alone
    assert [bool(views.shared) for views in bound._files] == [True]


def test_without_a_folder_for_them_every_connection_binds_its_own(lake: Lake, say, monkeypatch):
    say("hello there")

    def full(views: Views) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bound, "_make", full)
    for _ in range(3):
        assert connect(lake).execute("SELECT count(*) FROM words").fetchone() == (2,)
