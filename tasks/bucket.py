"""A bucket of videos: a local folder, or any fsspec URI (`s3://`, `gs://`, `az://`, `memory://`, `file://`).

Keys are relative, with `/` between parts. They come from strangers and never become a path unchecked.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlparse

from tasks.errors import (
    AccessDenied,
    BadSidecar,
    BucketNotFound,
    MissingTool,
    ObjectChanged,
    StorageBusy,
    refuse_password,
)
from tasks.records import Object
from tasks.scratch import writing
from tasks.settings import Settings
from tasks.stores import CHUNK, Store, of_storage, open_store

SIDECAR_LIMIT = 512 << 20
_ESCAPED = re.compile(rb"\\x([0-9a-f]{2})")


@dataclass(frozen=True)
class Bucket:
    """Where the videos lie. `uri` is canonical; `bucket_id` names the archive in the lake."""

    uri: str
    bucket_id: str
    root: str
    local: bool
    store: Store | None = None
    checksum: bool = False

    # -- listing --------------------------------------------------------------------------------------------------

    def list(self) -> Iterator[Object]:
        """Every object, as a stream in no particular order.

        Raises:
            StorageBusy: the listing broke off; what was seen is not the whole bucket.
        """
        try:
            yield from self.store.objects() if self.store else self._list_local()
        except Exception as error:
            if not of_storage(error):
                raise
            raise StorageBusy(
                f"The listing of {self.uri} broke off: {error}. Nothing was marked as gone.",
                next="Run the same command again.",
            ) from error

    def _list_local(self) -> Iterator[Object]:
        """All folders that can be read; the first that cannot is raised at the end, when all others are listed."""
        folders, unreadable = [""], None
        while folders:
            prefix = folders.pop()
            try:
                with os.scandir(os.path.join(self.root, to_path(prefix))) as entries:
                    for entry in entries:
                        key = f"{prefix}{_to_key(entry.name)}"
                        if entry.is_dir(follow_symlinks=False):
                            folders.append(key + "/")
                        elif self._inside(entry):
                            # What was removed since its folder was read is not in the bucket any more.
                            with contextlib.suppress(FileNotFoundError):
                                yield self._local_object(key, entry.stat())
            except OSError as error:
                if prefix and not isinstance(error, FileNotFoundError):
                    unreadable = unreadable or error
                elif not prefix:
                    raise
        if unreadable:
            raise unreadable

    def _inside(self, entry: os.DirEntry[str]) -> bool:
        """Whether it is a file; links may point within the bucket only."""
        if not entry.is_symlink():
            return entry.is_file()
        try:
            return entry.is_file() and Path(entry.path).resolve().is_relative_to(self.root)
        except (OSError, RuntimeError):  # links in a circle
            return False

    def _local_object(self, key: str, info: os.stat_result) -> Object:
        fingerprint = f"{info.st_size}-{info.st_mtime_ns}"
        if self.checksum:
            with open(self._local_path(key), "rb") as handle:
                fingerprint = "sha256-" + hashlib.file_digest(handle, "sha256").hexdigest()
        return Object(key, info.st_size, fingerprint, datetime.fromtimestamp(info.st_mtime, UTC))

    # -- reading --------------------------------------------------------------------------------------------------

    def stat(self, key: str) -> Object:
        """An object as it is now.

        Raises:
            ObjectChanged: it is no longer there. AccessDenied, StorageBusy.
        """
        with self._explained(key):
            if self.store:
                return self.store.stat(key)
            return self._local_object(key, os.stat(self._local_path(key)))

    @contextlib.contextmanager
    def fetched(self, key: str, fingerprint: str, scratch: Path, free_gb: float) -> Iterator[Path]:
        """A local path to the object while the context lasts: the file itself, or a copy in `scratch`.

        Raises:
            ObjectChanged: the object is not, or no longer, the one with `fingerprint`. ScratchFull.
        """
        if self.store is None:
            path = self._local_path(key)
            self._same(key, fingerprint)
            try:
                yield path
            finally:  # what went wrong with a file that was rewritten meanwhile is no fault of either
                self._same(key, fingerprint)
            return
        copy = scratch / f"object-{uuid.uuid4().hex}"
        try:
            size = self._same(key, fingerprint)
            with self._explained(key), writing(copy, free_gb, size=size) as write:
                self.store.read(key, fingerprint, write)
            self._same(key, fingerprint)
            yield copy
        finally:
            copy.unlink(missing_ok=True)

    def _same(self, key: str, fingerprint: str) -> int:
        """The object's size, if it is the one with `fingerprint`."""
        now = self.stat(key)
        if now.fingerprint != fingerprint:
            raise ObjectChanged(f"{key} was rewritten while it was read.")
        return now.size_bytes

    def sidecar(self, key: str) -> Iterator[bytes]:
        """The bytes of a sidecar, in pieces of at most 4 MB.

        Raises:
            BadSidecar: it is larger than 512 MB. ObjectChanged: it was removed or rewritten while it was read.
            AccessDenied, StorageBusy.
        """
        first = self.part(key, 0, CHUNK)
        if len(first) < CHUNK:  # nearly all are; one request for each
            yield first
            return
        now = self.stat(key)
        if now.size_bytes > SIDECAR_LIMIT:
            raise BadSidecar(f"The sidecar {key} is larger than {SIDECAR_LIMIT >> 20} MB.")
        for start in range(0, now.size_bytes, CHUNK):
            yield self.part(key, start, min(CHUNK, now.size_bytes - start))
        self._same(key, now.fingerprint)

    def part(self, key: str, start: int, size: int) -> bytes:
        """At most `size` bytes of an object from `start` on; fewer at its end.

        Raises:
            ObjectChanged: it is no longer there. AccessDenied, StorageBusy.
        """
        with self._explained(key):
            if self.store:
                return self.store.part(key, start, size)
            with self._local_path(key).open("rb") as handle:
                handle.seek(start)
                return handle.read(size)

    def local_path(self, key: str) -> Path | None:
        """Where the object lies on this machine, if it does."""
        return self._local_path(key) if self.local else None

    def _local_path(self, key: str) -> Path:
        parts = PurePosixPath(key).parts
        path = Path(self.root, to_path(key))
        if ".." in parts or key.startswith("/") or not path.resolve().is_relative_to(self.root):
            raise AccessDenied(f"{key!r} would lead out of the bucket.")
        return path

    @contextlib.contextmanager
    def _explained(self, key: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise ObjectChanged(f"{key} was removed while it was read.") from error
        except PermissionError as error:
            raise AccessDenied(f"{key} may not be read: {error.strerror or error}") from error
        except Exception as error:
            if not of_storage(error):
                raise
            raise StorageBusy(f"{key} could not be read: {error}") from error


def open_bucket(uri: str, settings: Settings) -> Bucket:
    """The bucket at a folder or URI.

    Raises:
        BucketNotFound: there is nothing, or it is not a folder. MissingTool: the URI's driver is not installed.
    """
    refuse_password(uri, "bucket")
    if "://" not in uri or uri.startswith("file://"):
        path = Path(unquote(urlparse(uri).path) if uri.startswith("file://") else uri).expanduser().resolve()
        if not path.is_dir():
            what = "is not a folder" if path.exists() else "does not exist"
            raise BucketNotFound(
                f"The bucket {path} {what}.", next="Name a folder, or a URI such as s3://bucket/prefix."
            )
        if not os.access(path, os.R_OK | os.X_OK) or not stat.S_ISDIR(path.stat().st_mode):
            raise BucketNotFound(f"The bucket {path} may not be read.", next="Mend its rights.")
        return Bucket(path.as_uri(), settings.bucket_id or path.as_uri(), str(path), True, None, settings.checksum)

    try:
        store, root = open_store(uri, settings)
    except ImportError as error:
        raise MissingTool(f"{uri}: {error}", next="Install the driver into .venv, then run this again.") from error
    except ValueError as error:
        raise BucketNotFound(f"{uri}: {error}", next="Known schemes: file, s3, gs, az, memory.") from error
    try:
        if not store.anything():
            raise FileNotFoundError
    except FileNotFoundError as error:
        raise BucketNotFound(
            f"The bucket {uri} does not exist, or is empty.", next="Check its name and your rights."
        ) from error
    except Exception as error:
        if isinstance(error, PermissionError) or "credentials" in str(error).lower():
            raise BucketNotFound(f"The bucket {uri} may not be read: {error}", next="Check your rights.") from error
        if not of_storage(error):
            raise
        raise StorageBusy(f"The bucket {uri} did not answer: {error}", next="Run the same command again.") from error
    return Bucket(uri.rstrip("/"), settings.bucket_id or uri.rstrip("/"), root, False, store)


def _to_key(name: str) -> str:
    """A file name as text; bytes that are no UTF-8 are written `\\xff`, and a backslash before an x `\\x5c`."""
    return os.fsencode(name).replace(b"\\x", b"\\x5cx").decode("utf-8", "backslashreplace")


def to_path(key: str) -> str:
    """The other way: the escape is undone where a name had one."""
    if "\\x" not in key:
        return key
    return os.fsdecode(_ESCAPED.sub(lambda m: bytes([int(m[1], 16)]), key.encode("utf-8")))
