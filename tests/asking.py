"""SQL asked of a small lake, as a stranger may ask it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.errors import BadQuery
from tasks.lake.commit import commit
from tasks.lake.sandbox import Answer, run_query
from tasks.lake.store import Lake
from tasks.records import Result

SECRET = "swordfish"  # also the name of a variable, for scans of Python's variables


@pytest.fixture
def filled(lake: Lake, result: Callable[..., Result]) -> Lake:
    commit(lake, [result("hello there world", topic="tech")], run_id="r", device="cpu")
    return lake


def ask(
    lake: Lake, sql: str, *, seconds: float = 20, memory_mb: int = 512, rows: int = 100, answer_mb: int | None = None
) -> Answer:
    return run_query(lake, sql, seconds=seconds, memory_mb=memory_mb, rows=rows, answer_mb=answer_mb)


def values(lake: Lake, sql: str, **limits: float) -> list[tuple]:
    return [tuple(row.values()) for row in ask(lake, sql, **limits).rows.to_pylist()]  # type: ignore[arg-type]


def refused(lake: Lake, sql: str, **limits: float) -> str:
    with pytest.raises(BadQuery) as caught:
        ask(lake, sql, **limits)  # type: ignore[arg-type]
    assert SECRET not in str(caught.value)
    return str(caught.value)


def contents(folder: str | Path) -> dict[str, str]:
    """Every file below a folder with the hash of what is in it."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file()
    }
