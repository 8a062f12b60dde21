"""Small files beside the tables of a lake: what runs tell each other, and nothing that a query needs.

They lie in folders whose names begin with an underscore. On a store they are objects; a conditional put makes one only
where there is none, as creating a file exclusively does on a disk.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import uuid
from functools import cached_property
from pathlib import Path
from typing import Any

from tasks.errors import StorageBusy, first_line
from tasks.lake.store import Lake
from tasks.sources.storage import is_storage_error
from tasks.sources.stores import small_files


class Notes:
    """The JSON files in one folder of a lake, by name. The folder comes and goes with them."""

    def __init__(self, lake: Lake, folder: str) -> None:
        self.lake, self.folder = lake, folder
        self.uri = f"{lake.uri}/{folder}"

    def create(self, name: str, value: Any) -> bool:
        """Write a file that is not there yet; false when there is one already."""
        data = _bytes(value)
        with self._explained():
            if self.lake.local:
                # Linked into place: a reader never sees half of it, and a link is made only where nothing is.
                part = self._part(data)
                try:
                    os.link(part, Path(self.uri, name))
                except FileExistsError:
                    return False
                finally:
                    part.unlink()
                return True
            try:
                self._store.pipe_file(f"{self._root}/{name}", data, mode="create")
            except FileExistsError:
                return False
            except OSError as error:
                if "precondition" in str(error).lower() or "already exists" in str(error).lower():
                    return False
                raise
            return True

    def put(self, name: str, value: Any) -> None:
        """Write or replace a file."""
        data = _bytes(value)
        with self._explained():
            if self.lake.local:
                self._part(data).replace(Path(self.uri, name))
            else:
                self._store.pipe_file(f"{self._root}/{name}", data)

    def get(self, name: str) -> Any:
        """What a file says; None when there is none."""
        with self._explained():
            try:
                if self.lake.local:
                    return json.loads(Path(self.uri, name).read_bytes())
                return json.loads(self._store.cat_file(f"{self._root}/{name}"))
            except FileNotFoundError:
                return None

    def names(self) -> list[str]:
        """The files there are, sorted."""
        with self._explained():
            try:
                if self.lake.local:
                    return sorted(name for name in os.listdir(self.uri) if not name.startswith("."))
                found = self._store.ls(self._root, detail=False, refresh=True)
            except FileNotFoundError:
                return []
            return sorted(str(path).rstrip("/").rsplit("/", 1)[-1] for path in found)

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        with self._explained(), contextlib.suppress(FileNotFoundError):
            if self.lake.local:
                Path(self.uri, name).unlink()
            else:
                self._store.rm_file(f"{self._root}/{name}")

    def clear(self) -> None:
        """Remove the folder and everything in it."""
        with self._explained():
            if self.lake.local:
                shutil.rmtree(self.uri, ignore_errors=True)
            else:
                with contextlib.suppress(FileNotFoundError):
                    self._store.rm(self._root, recursive=True)

    @cached_property
    def _found(self) -> tuple[Any, str]:
        return small_files(self.uri)

    @property
    def _store(self) -> Any:
        return self._found[0]

    @property
    def _root(self) -> str:
        return self._found[1]

    def _part(self, data: bytes) -> Path:
        os.makedirs(self.uri, exist_ok=True)
        part = Path(self.uri, f".{uuid.uuid4().hex}")
        part.write_bytes(data)
        return part

    @contextlib.contextmanager
    def _explained(self) -> Any:
        try:
            yield
        except Exception as error:
            if not is_storage_error(error):
                raise
            raise StorageBusy(f"{self.uri} could not be read or written: {first_line(error)}") from error


def _bytes(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()
