"""A bucket of videos: a local folder, or any fsspec URI (`s3://`, `gs://`, `az://`, `memory://`, `file://`).

Keys are relative, with `/` between parts. They come from strangers and never become a path unchecked.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import stat
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlparse

from tasks.errors import (
    AccessDenied,
    BadSidecar,
    BucketNotFound,
    MissingTool,
    NightscribeError,
    ObjectChanged,
    StorageBusy,
    refuse_password,
)
from tasks.machine.scratch import writing
from tasks.records import Object
from tasks.settings import Settings
from tasks.sources.folder import Walk, within
from tasks.sources.folder import to_path as to_path
from tasks.sources.left_out import Unseen
from tasks.sources.storage import CHUNK, Store, is_storage_error
from tasks.sources.stores import open_store
from tasks.sources.values import readable, size_of, time_of

SIDECAR_LIMIT = 512 << 20
_EXTENSION = re.compile(r"\.[A-Za-z0-9]{1,10}$")


@dataclass(frozen=True)
class Bucket:
    """Where the videos lie. `uri` is canonical; `bucket_id` names the archive in the lake."""

    uri: str
    bucket_id: str
    root: str
    local: bool
    store: Store | None = None
    checksum: bool = False
    follow_links: bool = False

    # -- listing --------------------------------------------------------------------------------------------------

    def list(self, unseen: Callable[[Unseen], None] = lambda item: None) -> Iterator[Object]:
        """Every object, as a stream in no particular order; names that stand for no object go to `unseen`.

        Raises:
            StorageBusy: the listing broke off; what was seen is not the whole bucket.
        """
        walk = Walk(self.root, follow=self.follow_links, make=self._local_object)
        try:
            for item in self.store.objects() if self.store else walk.objects():
                if isinstance(item, Unseen):
                    unseen(item)
                else:
                    yield item
        except NightscribeError:
            raise
        except Exception as error:  # drivers of stores raise anything
            raise StorageBusy(
                f"The listing of {self.uri} broke off: {readable(error) or type(error).__name__}. Nothing was marked as gone.",
                next="Run the same command again.",
            ) from error

    def _local_object(self, key: str, info: os.stat_result) -> Object:
        fingerprint = f"{info.st_size}-{info.st_mtime_ns}"
        if self.checksum:
            with self._open(key) as handle:
                fingerprint = "sha256-" + hashlib.file_digest(handle, "sha256").hexdigest()
        return Object(key, size_of(info.st_size) or 0, fingerprint, time_of(info.st_mtime))

    # -- reading --------------------------------------------------------------------------------------------------

    def stat(self, key: str) -> Object:
        """An object as it is now.

        Raises:
            ObjectChanged: it is no longer there. AccessDenied, StorageBusy.
        """
        with self._explained(key):
            if self.store:
                return self.store.stat(key)
            info = os.stat(self._local_path(key))
            if not stat.S_ISREG(info.st_mode):
                raise ObjectChanged(f"{key} is no file any more.")
            return self._local_object(key, info)

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
        # With its extension: some kinds of media say nothing else of themselves.
        extension = _EXTENSION.search(key)
        copy = scratch / f"object-{uuid.uuid4().hex}{extension[0] if extension else ''}"
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
            with self._open(key) as handle:
                handle.seek(start)
                return handle.read(size)

    def local_path(self, key: str) -> Path | None:
        """Where the object lies on this machine, if it does."""
        return self._local_path(key) if self.local else None

    def _local_path(self, key: str) -> Path:
        """Where a key leads: into the bucket, and out of it only through its links, if those are followed."""
        name = to_path(key)
        path = Path(self.root, name)
        leads_out = ".." in name.split("/") or name.startswith("/") or "\0" in name
        if leads_out or not (self.follow_links or within(os.path.realpath(path), self.root)):
            raise AccessDenied(f"{key!r} would lead out of the bucket.")
        return path

    @contextlib.contextmanager
    def _open(self, key: str) -> Iterator[io.BufferedReader]:
        with open(self._local_path(key), "rb", opener=_at_once) as handle:
            if not stat.S_ISREG(os.fstat(handle.fileno()).st_mode):
                raise ObjectChanged(f"{key} is no file any more.")
            yield handle

    @contextlib.contextmanager
    def _explained(self, key: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:
            raise ObjectChanged(f"{key} was removed while it was read.") from error
        except PermissionError as error:
            raise AccessDenied(f"{key} may not be read: {error.strerror or error}") from error
        except Exception as error:
            if not is_storage_error(error):
                raise
            raise StorageBusy(f"{key} could not be read: {error}") from error


def _at_once(path: str, flags: int) -> int:
    """Open a file, and wait for nobody where a pipe has its name by now."""
    return os.open(path, flags | os.O_NONBLOCK)


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
        name = settings.bucket_id or path.as_uri()
        return Bucket(path.as_uri(), name, str(path), True, None, settings.checksum, settings.follow_links)

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
        if not is_storage_error(error):
            raise
        raise StorageBusy(f"The bucket {uri} did not answer: {error}", next="Run the same command again.") from error
    return Bucket(uri.rstrip("/"), settings.bucket_id or uri.rstrip("/"), root, False, store)
