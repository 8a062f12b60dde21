"""What answers a search: DuckDB over the lake, or Elasticsearch."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal, Protocol

from tasks.search.query import Query

EngineName = Literal["auto", "duckdb", "elasticsearch"]


class Engine(Protocol):
    """An engine that is ready to answer."""

    @property
    def languages(self) -> tuple[str, ...]: ...

    def search(self, query: Query) -> dict[str, Any]: ...

    def near(self, word: str) -> list[str]: ...

    def said(self, words: Collection[str]) -> set[str]: ...

    def titles(self, begun: str, limit: int = 8) -> list[dict[str, Any]]: ...
