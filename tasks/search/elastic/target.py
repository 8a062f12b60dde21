"""An index as something to write to: what it has, and bulk requests whose every item is accounted for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from elasticsearch import Elasticsearch, NotFoundError
from elasticsearch.helpers import streaming_bulk

from tasks.search.elastic.connection import RETRY_STATUS, reason_of
from tasks.search.elastic.documents import Document
from tasks.search.elastic.mapping import Names, vector_fields

CHUNK_DOCUMENTS = 500
CHUNK_BYTES = 10 << 20
BACKOFF_S = 0.5  # before the second try; doubles


@dataclass(frozen=True)
class Target:
    """An index and the client that writes to it."""

    client: Elasticsearch
    index: str

    def videos(self, ids: Sequence[str]) -> dict[str, Document]:
        """The index's own documents of these videos, as they are at this moment (no refresh needed)."""
        found = self.client.mget(index=self.index, ids=list(ids), source_includes=["generation", "n_parts", "status"])
        return {doc["_id"]: doc["_source"] for doc in found["docs"] if doc.get("found")}

    def versions(self, ids: Sequence[str]) -> dict[str, int]:
        """The versions of these documents; none for one that is not there."""
        found = self.client.mget(index=self.index, ids=list(ids), source=False)
        return {doc["_id"]: doc["_version"] for doc in found["docs"] if doc.get("found")}

    def prepare(self, sizes: Collection[tuple[str, int]]) -> None:
        """Let the index take vectors of these kinds and sizes."""
        if sizes:
            self.client.indices.put_mapping(index=self.index, properties=vector_fields(sizes))

    def still_there(self) -> None:
        """To be asked after removals: for these Elasticsearch makes a missing index anew, whatever alias they require.

        Raises:
            NotFoundError: somebody deleted the index; what was made in its place is gone again.
        """
        try:
            self.client.indices.get_alias(name=Names.guard(self.index))
        except NotFoundError:
            self.client.indices.delete(index=Names.guard(self.index), ignore_unavailable=True)
            raise

    def bulk(self, actions: Iterable[Document]) -> Iterator[tuple[str, str, int, str]]:
        """Send, and yield of every item its operation, id, status and reason. What may pass is tried again."""
        for _, item in streaming_bulk(
            self.client,
            actions,
            index=Names.guard(self.index),
            require_alias=True,
            chunk_size=CHUNK_DOCUMENTS,
            max_chunk_bytes=CHUNK_BYTES,
            raise_on_error=False,
            max_retries=4,
            initial_backoff=BACKOFF_S,
            max_backoff=10,
            retry_on_status=RETRY_STATUS,
        ):
            ((operation, result),) = item.items()
            yield operation, result["_id"], int(result["status"]), reason_of(result) if "error" in result else ""
