"""Object stores: S3 in `tasks/sources/s3.py`, every other one through its fsspec driver. Keys are whatever the store says."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

from tasks.records import Object
from tasks.settings import Settings
from tasks.sources.left_out import Unseen
from tasks.sources.storage import CHUNK, Store, is_storage_error, pause
from tasks.sources.values import is_text, readable, said, size_of, text_of, time_of

GIVE_UP_AFTER = 3  # folders in a row that cannot be read: then it is the store
S3_SCHEMES = ("s3", "s3a")


def open_store(uri: str, settings: Settings) -> tuple[Store, str]:
    """The store at a URI, and where in it the URI points.

    Raises:
        ImportError: the driver is not installed. ValueError: nobody knows the scheme.
    """
    scheme, _, rest = uri.partition("://")
    if scheme in S3_SCHEMES:
        from tasks.sources.s3 import S3Store

        bucket, _, prefix = rest.strip("/").partition("/")
        return S3Store(bucket, prefix, settings), rest.strip("/")
    import fsspec

    filesystem, root = fsspec.core.url_to_fs(uri.rstrip("/"), skip_instance_cache=True)
    return FsspecStore(filesystem, str(root), settings), str(root)


def small_files(uri: str) -> tuple[Any, str]:
    """An fsspec file system that keeps no listings, and the path in it."""
    import fsspec

    filesystem, root = fsspec.core.url_to_fs(uri, use_listings_cache=False)
    return filesystem, str(root)


class FsspecStore:
    """A folder of any fsspec file system."""

    def __init__(self, filesystem: Any, root: str, settings: Settings) -> None:
        self.filesystem, self.root, self.settings = filesystem, root, settings

    def anything(self) -> bool:
        return bool(self.filesystem.exists(self.root))

    def objects(self) -> Iterator[Object | Unseen]:
        """All folders that can be read; what the first one raised that cannot comes last, or after three in a row."""
        self.filesystem.invalidate_cache()  # drivers keep listings, and a night is long
        # Not fsspec's walk(): below its first folder it takes one that does not answer for an empty one.
        top = self.root.rstrip("/")
        folders, failures, unreadable = [top], 0, None
        while folders:
            folder = folders.pop()
            try:
                for info in self.filesystem.ls(folder, detail=True):
                    if isinstance(found := self._entry(info, folder), str):
                        folders.append(found)
                    elif found:
                        yield found
                failures = 0
            except FileNotFoundError:
                if folder == top:
                    raise
                # else emptied since the folder above was listed
            except Exception as error:  # a driver may raise anything
                failures += not isinstance(error, PermissionError)
                unreadable = unreadable or error
                if failures == GIVE_UP_AFTER:
                    break
        if unreadable:
            raise unreadable

    def _entry(self, info: Any, folder: str) -> Object | Unseen | str | None:
        """What a driver says of an object, or the name of a folder below; None for the folder itself."""
        try:
            name: str = os.fspath(info["name"]).rstrip("/")
            if name == folder:
                return None  # a marker that stands for the folder
            if info.get("type") == "directory":
                return name
            if not _marked(info):  # some drivers say more of an object by itself
                with contextlib.suppress(Exception):
                    info = {**info, **self.filesystem.info(name), "name": name}
            found = self.object_of(info)
            return found if is_text(found.key) else Unseen(readable(found.key), "odd", "its name is no Unicode")
        except Exception as error:
            named = info.get("name") if isinstance(info, dict) else info
            key = self._key(readable(named)) if isinstance(named, str) else ""
            return Unseen(key, "odd", f"what the store says of it is no entry: {said(error)}")

    def stat(self, key: str) -> Object:
        self.filesystem.invalidate_cache()
        return self.object_of(self.filesystem.info(f"{self.root}/{key}"))

    def read(self, key: str, fingerprint: str, write: Callable[[bytes], None]) -> None:
        failures = 0
        with self.filesystem.open(f"{self.root}/{key}", "rb") as source:
            while True:
                at = source.tell()
                try:
                    data = source.read(CHUNK)
                except Exception as error:
                    failures += 1
                    if not is_storage_error(error) or failures >= self.settings.store_tries:
                        raise
                    pause(failures)
                    source.seek(at)
                    continue
                if not data:
                    return
                write(data)
                failures = 0

    def part(self, key: str, start: int, size: int) -> bytes:
        with self.filesystem.open(f"{self.root}/{key}", "rb") as handle:
            handle.seek(start)
            data: bytes = handle.read(size)
            return data

    def object_of(self, info: dict[str, Any]) -> Object:
        """An object from what a driver says of it; drivers differ in their words."""
        modified, tag = _time(info), _tag(info)
        if not tag:
            # After the times are made alike: a store may give one kind in a listing and another for one object.
            with contextlib.suppress(ValueError, OverflowError, OSError):
                if isinstance(modified, (int, float)):
                    modified = datetime.fromtimestamp(modified, UTC)
            if isinstance(modified, datetime) and modified.tzinfo is None:
                modified = modified.replace(tzinfo=UTC)
            tag = f"{text_of(info.get('size'))}-{text_of(modified)}"
        return Object(self._key(str(info["name"])), size_of(info.get("size")) or 0, tag, time_of(modified))

    def _key(self, name: str) -> str:
        prefix = self.root.rstrip("/") + "/"
        return name[len(prefix) :] if name.startswith(prefix) else name.lstrip("/")


def _time(info: dict[str, Any]) -> Any:
    return _first(info, "LastModified", "last_modified", "created", "mtime")


def _tag(info: dict[str, Any]) -> str:
    tag = text_of(_first(info, "ETag", "etag", "md5Hash", "VersionId") or None).strip('"')
    return "" if tag == "None" else tag


def _marked(info: dict[str, Any]) -> bool:
    """Whether an object can be told from what it was before."""
    return bool(_tag(info)) or _time(info) is not None


def _first(info: dict[str, Any], *names: str) -> Any:
    """The first value that says something, else the last."""
    value = None
    for name in names:
        value = info.get(name)
        try:
            if value:
                break
        except Exception:  # of a type that is neither true nor false
            value = None
    return value
