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
from typing import Any
from urllib.parse import unquote, urlparse

from tasks.errors import AccessDenied, BucketNotFound, MissingTool, ObjectChanged, StorageBusy
from tasks.records import Object
from tasks.scratch import writing
from tasks.settings import Settings

CHUNK = 4 << 20
SIDECAR_LIMIT = 4 << 20
# What these raise when a store does not answer is no OSError.
STORE_LIBRARIES = ("botocore", "aiobotocore", "aiohttp", "azure", "gcsfs", "google")
_ESCAPED = re.compile(rb"\\x([0-9a-f]{2})")


@dataclass(frozen=True)
class Bucket:
    """Where the videos lie. `uri` is canonical; `bucket_id` names the archive in the lake."""

    uri: str
    bucket_id: str
    root: str
    local: bool
    filesystem: Any = None
    checksum: bool = False

    # -- listing --------------------------------------------------------------------------------------------------

    def list(self) -> Iterator[Object]:
        """Every object, as a stream in no particular order.

        Raises:
            StorageBusy: the listing broke off; what was seen is not the whole bucket.
        """
        try:
            yield from self._list_local() if self.local else self._list_remote()
        except Exception as error:
            if not _of_storage(error):
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

    def _list_remote(self) -> Iterator[Object]:
        self.filesystem.invalidate_cache()  # drivers keep listings, and a night is long
        # Not fsspec's walk(): below its first folder it takes one that does not answer for an empty one.
        top = self.root.rstrip("/")
        folders = [top]
        while folders:
            folder = folders.pop()
            try:
                listing = self.filesystem.ls(folder, detail=True)
            except FileNotFoundError:
                if folder == top:
                    raise
                continue  # emptied since the folder above was listed
            for info in listing:
                name = str(info["name"]).rstrip("/")
                if name == folder:
                    continue  # a marker that stands for the folder
                if info["type"] == "directory":
                    folders.append(name)
                else:
                    yield self._remote_object(info)

    def _remote_object(self, info: dict[str, Any]) -> Object:
        name = str(info["name"])
        prefix = self.root.rstrip("/") + "/"
        key = name[len(prefix) :] if name.startswith(prefix) else name.lstrip("/")
        modified = info.get("LastModified") or info.get("last_modified") or info.get("created") or info.get("mtime")
        tag = info.get("ETag") or info.get("etag") or info.get("md5Hash") or info.get("VersionId")
        if isinstance(modified, (int, float)):
            modified = datetime.fromtimestamp(modified, UTC)
        if isinstance(modified, datetime) and modified.tzinfo is None:
            modified = modified.replace(tzinfo=UTC)
        # After the times are made alike: a store may give one kind in a listing and another for one object.
        fingerprint = str(tag).strip('"') if tag else f"{info.get('size')}-{modified}"
        return Object(
            key, int(info.get("size") or 0), fingerprint, modified if isinstance(modified, datetime) else None
        )

    # -- reading --------------------------------------------------------------------------------------------------

    def stat(self, key: str) -> Object:
        """An object as it is now.

        Raises:
            ObjectChanged: it is no longer there. AccessDenied, StorageBusy.
        """
        with self._explained(key):
            if self.local:
                return self._local_object(key, os.stat(self._local_path(key)))
            self.filesystem.invalidate_cache()
            return self._remote_object(self.filesystem.info(f"{self.root}/{key}"))

    @contextlib.contextmanager
    def fetched(self, key: str, fingerprint: str, scratch: Path, free_gb: float) -> Iterator[Path]:
        """A local path to the object while the context lasts: the file itself, or a copy in `scratch`.

        Raises:
            ObjectChanged: the object is not, or no longer, the one with `fingerprint`. ScratchFull.
        """
        if self.local:
            path = self._local_path(key)
            self._same(key, fingerprint)
            try:
                yield path
            finally:  # what went wrong with a file that was rewritten meanwhile is no fault of either
                self._same(key, fingerprint)
            return
        copy = scratch / f"object-{uuid.uuid4().hex}"
        try:
            self._same(key, fingerprint)
            with (
                self._explained(key),
                self.filesystem.open(f"{self.root}/{key}", "rb") as source,
                writing(copy, free_gb) as write,
            ):
                while chunk := source.read(CHUNK):
                    write(chunk)
            self._same(key, fingerprint)
            yield copy
        finally:
            copy.unlink(missing_ok=True)

    def _same(self, key: str, fingerprint: str) -> None:
        if self.stat(key).fingerprint != fingerprint:
            raise ObjectChanged(f"{key} was rewritten while it was read.")

    def read_small(self, key: str) -> bytes:
        """A sidecar's bytes; at most 4 MB of them."""
        with self._explained(key):
            if self.local:
                with self._local_path(key).open("rb") as handle:
                    return handle.read(SIDECAR_LIMIT + 1)
            with self.filesystem.open(f"{self.root}/{key}", "rb") as handle:
                data: bytes = handle.read(SIDECAR_LIMIT + 1)
                return data

    def part(self, key: str, start: int, size: int) -> bytes:
        """At most `size` bytes of an object from `start` on; fewer at its end.

        Raises:
            ObjectChanged: it is no longer there. AccessDenied, StorageBusy.
        """
        with self._explained(key):
            if self.local:
                with self._local_path(key).open("rb") as handle:
                    handle.seek(start)
                    return handle.read(size)
            data: bytes = self.filesystem.cat_file(f"{self.root}/{key}", start=start, end=start + size)
            return data

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
            if not _of_storage(error):
                raise
            raise StorageBusy(f"{key} could not be read: {error}") from error


def open_bucket(uri: str, settings: Settings) -> Bucket:
    """The bucket at a folder or URI.

    Raises:
        BucketNotFound: there is nothing, or it is not a folder. MissingTool: the URI's driver is not installed.
    """
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

    import fsspec

    try:
        filesystem, root = fsspec.core.url_to_fs(uri.rstrip("/"), skip_instance_cache=True)
    except ImportError as error:
        raise MissingTool(f"{uri}: {error}", next="Install the driver into .venv, then run this again.") from error
    except ValueError as error:
        raise BucketNotFound(f"{uri}: {error}", next="Known schemes: file, s3, gs, az, memory.") from error
    try:
        if not filesystem.exists(root):
            raise BucketNotFound(
                f"The bucket {uri} does not exist, or is empty.", next="Check its name and your rights."
            )
    except BucketNotFound:
        raise
    except Exception as error:
        if isinstance(error, PermissionError) or "credentials" in str(error).lower():
            raise BucketNotFound(f"The bucket {uri} may not be read: {error}", next="Check your rights.") from error
        if not _of_storage(error):
            raise
        raise StorageBusy(f"The bucket {uri} did not answer: {error}", next="Run the same command again.") from error
    return Bucket(uri.rstrip("/"), settings.bucket_id or uri.rstrip("/"), str(root), False, filesystem)


def _of_storage(error: Exception) -> bool:
    """Whether the store failed, and not this program."""
    return isinstance(error, OSError) or type(error).__module__.split(".")[0] in STORE_LIBRARIES


def _to_key(name: str) -> str:
    """A file name as text; bytes that are no UTF-8 are written `\\xff`, and a backslash before an x `\\x5c`."""
    return os.fsencode(name).replace(b"\\x", b"\\x5cx").decode("utf-8", "backslashreplace")


def to_path(key: str) -> str:
    """The other way: the escape is undone where a name had one."""
    if "\\x" not in key:
        return key
    return os.fsdecode(_ESCAPED.sub(lambda m: bytes([int(m[1], 16)]), key.encode("utf-8")))
