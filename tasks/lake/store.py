"""The lake on disk: Delta tables, appended to, with every commit retried until it is certain.

A video's rows are visible from the moment its `videos` row is committed, and never before: the content tables are
appended first. A writer that dies in between leaves rows that no view shows and that `maintain` sweeps later.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote, urlparse

from deltalake import ColumnProperties, CommitProperties, DeltaTable, Transaction, WriterProperties, write_deltalake
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from tasks.errors import LakeNotWritable, LakeTooNew, Misconfigured, StorageBusy, first_line, refuse_password
from tasks.lake.schema import ADDED, LAKE_VERSION, arrow_schema
from tasks.sources.storage import is_storage_error
from tasks.stages.registry import STAGES

if TYPE_CHECKING:
    import pyarrow as pa

_T = TypeVar("_T")
COMMIT_TRIES = 40
MARKER = "nightscribe-lake.json"
ROW_GROUP = 122_880  # of this size, so that DuckDB can skip all but one for one video
ROW_GROUP_OF_VECTORS = 10_000  # such as threads share among them


def live_files(table: DeltaTable | None) -> list[str]:
    """The Parquet files of a snapshot, as DuckDB opens them (not percent-encoded)."""
    uris = [] if table is None else table.file_uris()
    return [unquote(urlparse(uri).path) if uri.startswith("file://") else unquote(uri) for uri in uris]


class Lake:
    """One lake at a folder or URI. Opening it creates nothing; `create()` does."""

    def __init__(self, uri: str) -> None:
        refuse_password(uri, "lake")
        self.local = "://" not in uri or uri.startswith("file://")
        if self.local:
            path = unquote(urlparse(uri).path) if uri.startswith("file://") else uri
            self.uri = str(Path(path).expanduser().resolve())
        else:
            self.uri = uri.rstrip("/")
        if set("[]*?") & set(self.uri):  # delta-rs and DuckDB take them for patterns
            raise LakeNotWritable(
                f"The path of a lake has none of [ ] * ?: {self.uri}", next="Name another with --lake."
            )
        self.options = None if self.local else remote_options()

    def __repr__(self) -> str:
        return f"Lake({self.uri!r})"

    # -- life -------------------------------------------------------------------------------------------------------

    def exists(self) -> bool:
        """Whether there is a lake here (of any version)."""
        return self.marker() is not None

    def check_version(self) -> None:
        """Raise LakeTooNew when a newer Nightscribe wrote this lake."""
        marker = self.marker()
        if marker and marker["version"] > LAKE_VERSION:
            raise LakeTooNew(
                f"The lake {self.uri} has version {marker['version']}; this Nightscribe knows {LAKE_VERSION}. "
                "Nothing was changed.",
                next="Update Nightscribe on this machine.",
            )

    def outdated(self) -> bool:
        """Whether a migration is due, or was broken off."""
        marker = self.marker()
        return marker is not None and (marker["version"] < LAKE_VERSION or "migrating" in marker)

    def has(self, name: str) -> bool:
        """Whether a table is there."""
        return DeltaTable.is_deltatable(self.path(name), storage_options=self.options)

    def path(self, table: str) -> str:
        return f"{self.uri}/{table}"

    def marker(self) -> dict[str, Any] | None:
        """What the lake says of itself: its version, and the migrations that led there; None where there is no lake."""
        import fsspec

        try:
            if self.local:
                text = Path(self.uri, MARKER).read_text(encoding="utf-8")
            else:
                with fsspec.open(f"{self.uri}/{MARKER}", "rt") as handle:
                    text = handle.read()
            marker: dict[str, Any] = json.loads(text)
            if not isinstance(marker, dict) or not isinstance(marker.get("version"), int):
                raise ValueError("no object with a version")
            return marker
        except FileNotFoundError:
            return None
        except NotADirectoryError as error:
            raise Misconfigured(f"The lake {self.uri} is not a folder.", next="Name another with --lake.") from error
        except PermissionError as error:
            raise LakeNotWritable(f"The lake {self.uri} may not be read.", next="Mend its rights.") from error
        except ValueError as error:  # not JSON, not UTF-8, or not ours
            raise Misconfigured(f"{self.uri}/{MARKER} is damaged.", next='Write {"version": 1} into it.') from error
        except Exception as error:
            if not is_storage_error(error):
                raise
            raise StorageBusy(
                f"The lake {self.uri} does not answer: {first_line(error)}", next="Run the same command again."
            ) from error

    def write_marker(self, marker: Mapping[str, Any]) -> None:
        """Replace the marker, in one step."""
        import fsspec

        text = json.dumps(marker)
        if self.local:
            part = Path(self.uri, f".{MARKER}.{uuid.uuid4().hex}")
            part.write_text(text, encoding="utf-8")
            part.replace(Path(self.uri, MARKER))
        else:
            with fsspec.open(f"{self.uri}/{MARKER}", "wt") as handle:
                handle.write(text)

    # -- reading ----------------------------------------------------------------------------------------------------

    def table(self, name: str) -> DeltaTable:
        """The table's newest snapshot.

        Raises:
            Misconfigured: there is no lake.
        """
        try:
            return DeltaTable(self.path(name), storage_options=self.options)
        except TableNotFoundError as error:
            raise Misconfigured(
                f"There is no lake at {self.uri}.", next="Index something first: nightscribe index BUCKET"
            ) from error

    def find_table(self, name: str) -> DeltaTable | None:
        """The same; None for a table of a later version that nobody has written to yet."""
        try:
            return self.table(name)
        except Misconfigured:
            if name in ADDED:
                return None
            raise

    def version(self, name: str) -> int:
        """The number of a table's newest commit; 0 where there is no table yet."""
        table = self.find_table(name)
        return 0 if table is None else int(table.version())

    def remove_table(self, name: str) -> None:
        """Remove a table that no version reads any more, with its history, if it is there."""
        import fsspec

        if self.local:
            shutil.rmtree(self.path(name), ignore_errors=True)
            return
        filesystem, root = fsspec.core.url_to_fs(self.path(name))
        if filesystem.exists(root):
            filesystem.rm(root, recursive=True)

    def files(self, name: str, *, version: int | None = None) -> list[str]:
        """Live Parquet files of the newest snapshot or of a version, as DuckDB opens them (not percent-encoded)."""
        table = self.find_table(name)
        if table is not None and version is not None:
            table.load_as_version(version)
        return live_files(table)

    # -- writing ----------------------------------------------------------------------------------------------------

    def append(self, name: str, rows: Sequence[Mapping[str, Any]] | pa.Table, *, batch_id: str) -> None:
        """Append rows once, however often it takes. `batch_id` names this write in the table's log.

        Raises:
            StorageBusy: no try succeeded, or none can (no space, no right to write).
        """
        import pyarrow as pa

        if not len(rows):
            return
        schema = arrow_schema(name)
        table: Any = rows  # of pyarrow's, which has no types
        if not isinstance(rows, pa.Table):
            table = pa.Table.from_pylist(rows, schema=schema)
        table = table.select(schema.names).cast(schema)
        properties = CommitProperties(app_transactions=[Transaction(app_id=batch_id, version=1)], max_commit_retries=15)

        def write() -> None:
            # Written onto the snapshot that was asked: the same batch by another process in between is a conflict.
            now = self.table(name)
            if now.transaction_version(batch_id) is not None:
                return
            write_deltalake(
                now,
                table,
                mode="append",
                schema_mode="merge",
                commit_properties=properties,
                writer_properties=writer_properties(name),
            )

        retry_commit(write, what=f"append to {name}")


def remote_options() -> dict[str, str]:
    """What delta-rs must be told of a store beside credentials, which it finds where every AWS tool has them.

    A commit is a put that fails where there is an object already. Plain HTTP is for servers that are named so.
    """
    options = {"aws_conditional_put": "etag"}
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    if endpoint:
        options["aws_endpoint_url"] = endpoint
    if endpoint and endpoint.startswith("http://"):
        options["aws_allow_http"] = "true"
    return options


def writer_properties(table: str) -> WriterProperties:
    """How a table's files are written. zstd halves the words; texts are read whole by every phrase search, where the
    faster LZ4 is worth its space; of vectors nothing can be saved."""
    if table in STAGES.tables and "BLOB" in STAGES.tables[table][1].columns.values():
        plain = ColumnProperties(dictionary_enabled=False, statistics_enabled="NONE")
        return WriterProperties(
            compression="UNCOMPRESSED",
            max_row_group_size=ROW_GROUP_OF_VECTORS,
            column_properties={name: plain for name, kind in STAGES.tables[table][1].columns.items() if kind == "BLOB"},
        )
    if table in STAGES.tables and STAGES.tables[table][1].read_whole:
        return WriterProperties(compression="LZ4_RAW", max_row_group_size=ROW_GROUP)
    return WriterProperties(compression="ZSTD", compression_level=3, max_row_group_size=ROW_GROUP)


def retry_commit(act: Callable[[], _T], *, what: str, tries: int = COMMIT_TRIES) -> _T:
    """Run `act` until it succeeds, with jitter; another writer's commit in between is no failure.

    `act` must look for itself whether an earlier, unclear try did succeed: delta-rs takes one transaction twice.
    """
    for attempt in range(1, tries + 1):
        try:
            return act()
        except (CommitFailedError, DeltaError, OSError) as error:
            hopeless = _hopeless(error)
            if attempt == tries or hopeless:
                said = first_line(error)
                raise StorageBusy(
                    f"The lake did not take {what} in {attempt} tries: {said}",
                    next=hopeless or "Run the same command again.",
                ) from error
            time.sleep(random.uniform(0, min(5.0, 0.05 * 2**attempt)))
    raise AssertionError("unreachable")


def _hopeless(error: Exception) -> str:
    """What must be done before another try can succeed; nothing when a try may."""
    text = str(error).lower()
    return next((advice for word, advice in _ADVICE.items() if word in text), "")


_ADVICE = {
    "no space left": "Make space on the lake's disk, then run the same command again.",
    "read-only file system": "Make the lake's disk writable, then run the same command again.",
    "permission denied": "Mend the rights of the lake's folder, then run the same command again.",
    "schema": "Check the lake with: nightscribe maintain --check",
}
