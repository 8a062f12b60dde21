"""Object stores: S3 through botocore, every other one through its fsspec driver. Keys are whatever the store says.

S3 has a class of its own for what fsspec hides: listings page by page over any number of objects, reads that are bound
to one version of an object (`If-Match`) and go on where a connection broke, and keys that look like paths but are none.
Credentials, region and endpoint come from where every AWS tool has them: `AWS_*` variables, profiles, the machine's role.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Protocol
from xml.etree import ElementTree

from tasks.errors import ObjectChanged
from tasks.records import Object
from tasks.settings import Settings

CHUNK = 4 << 20
PIECE = 128 << 10
# What these raise when a store does not answer is no OSError.
LIBRARIES = ("botocore", "aiobotocore", "aiohttp", "urllib3", "azure", "gcsfs", "google")
S3_SCHEMES = ("s3", "s3a")


class Store(Protocol):
    """What a bucket needs of a store. What goes wrong is raised as the library says it (`of_storage`)."""

    def anything(self) -> bool:
        """Whether there is an object at all."""

    def objects(self) -> Iterator[Object]:
        """All objects, as a stream."""

    def stat(self, key: str) -> Object:
        """One object as it is now; FileNotFoundError, PermissionError."""

    def read(self, key: str, fingerprint: str, write: Callable[[bytes], None]) -> None:
        """Hand an object's bytes to `write`, once each; ObjectChanged where the store sees that it is another one."""

    def part(self, key: str, start: int, size: int) -> bytes:
        """At most `size` bytes from `start` on; fewer at the end."""


def of_storage(error: BaseException) -> bool:
    """Whether the store failed, and not this program."""
    return isinstance(error, OSError) or type(error).__module__.split(".")[0] in LIBRARIES


def open_store(uri: str, settings: Settings) -> tuple[Store, str]:
    """The store at a URI, and where in it the URI points.

    Raises:
        ImportError: the driver is not installed. ValueError: nobody knows the scheme.
    """
    scheme, _, rest = uri.partition("://")
    if scheme in S3_SCHEMES:
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


class S3Store:
    """A bucket, or a prefix of one, on S3 or on a server that speaks like it. Fingerprints are ETags."""

    def __init__(self, bucket: str, prefix: str, settings: Settings) -> None:
        self.bucket, self.prefix = bucket, f"{prefix}/" if prefix else ""
        self.settings = settings

    @cached_property
    def client(self) -> Any:
        """A client for all threads."""
        import botocore.session
        from botocore.config import Config

        limits: dict[str, Any] = {
            "connect_timeout": min(10.0, self.settings.store_timeout_s),
            "read_timeout": self.settings.store_timeout_s,
            "max_pool_connections": 32,
        }
        if not {"AWS_MAX_ATTEMPTS", "AWS_RETRY_MODE"} & os.environ.keys():
            # Throttling and 5xx: exponential waits with jitter, and fewer requests while the server says "slow down".
            limits["retries"] = {"mode": "adaptive", "total_max_attempts": self.settings.store_tries}
        client = botocore.session.get_session().create_client("s3", config=Config(**limits))
        client.meta.events.register("before-parse.s3.ListObjectsV2", _read_listing)
        return client

    def anything(self) -> bool:
        return bool(self._ask("list_objects_v2", Prefix=self.prefix, MaxKeys=1).get("KeyCount"))

    def objects(self) -> Iterator[Object]:
        following: dict[str, str] = {}
        while True:
            page = self._ask("list_objects_v2", Prefix=self.prefix, **following)
            for info in page.get("Contents", ()):
                if not info["Key"].endswith("/"):  # a marker that stands for a folder
                    yield _s3_object(info["Key"][len(self.prefix) :], info["Size"], info)
            if not page.get("IsTruncated"):
                return
            following = {"ContinuationToken": page["NextContinuationToken"]}

    def stat(self, key: str) -> Object:
        info = self._ask("head_object", Key=self.prefix + key)
        return _s3_object(key, info["ContentLength"], info)

    def read(self, key: str, fingerprint: str, write: Callable[[bytes], None]) -> None:
        at, size, failures = 0, -1, 0
        while at != size:
            part = {"Range": f"bytes={at}-"} if at else {}
            answer = self._ask("get_object", Key=self.prefix + key, IfMatch=f'"{fingerprint}"', **part)
            size = at + int(answer["ContentLength"])
            try:
                for data in answer["Body"].iter_chunks(PIECE):
                    write(data)
                    at += len(data)
                    failures = 0
            except Exception as error:  # the connection broke; what came is kept
                failures += 1
                if not _of_botocore(error) or failures >= self.settings.store_tries:
                    raise
                _pause(failures)
            finally:
                answer["Body"].close()

    def part(self, key: str, start: int, size: int) -> bytes:
        within = f"bytes={start}-{start + size - 1}"
        for failures in range(1, self.settings.store_tries + 1):
            try:
                body = self._ask("get_object", Key=self.prefix + key, Range=within)["Body"]
            except EOFError:
                return b""
            try:
                data: bytes = body.read()
                return data
            except Exception as error:
                if not _of_botocore(error) or failures == self.settings.store_tries:
                    raise
                _pause(failures)
            finally:
                body.close()
        raise AssertionError("unreachable")

    def _ask(self, operation: str, **arguments: Any) -> dict[str, Any]:
        from botocore.exceptions import ClientError

        try:
            answer: dict[str, Any] = getattr(self.client, operation)(Bucket=self.bucket, **arguments)
            return answer
        except ClientError as error:
            said = error.response.get("Error", {})
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            if status == 404:
                raise FileNotFoundError(said.get("Message") or str(error)) from error
            if status in (401, 403):
                if operation != "list_objects_v2":
                    self._still_let_in()
                raise PermissionError(said.get("Message") or str(error)) from error
            if status == 416:
                raise EOFError("There are no such bytes.") from error
            if status == 412:
                raise ObjectChanged(f"{arguments.get('Key')} was rewritten while it was read.") from error
            raise

    def _still_let_in(self) -> None:
        """Raise OSError when the store refuses all: then it is the credentials' fault, and not that of an object."""
        try:
            self.anything()
        except PermissionError as error:
            raise OSError(f"the store does not take the credentials any more: {error}") from error


def _of_botocore(error: BaseException) -> bool:
    return type(error).__module__.split(".")[0] in ("botocore", "urllib3") or isinstance(error, ConnectionError)


def _pause(failures: int) -> None:
    time.sleep(min(10.0, 0.1 * 2**failures))


def _read_listing(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any) -> None:
    """Read the objects of a page ourselves: botocore takes four times as long, a minute for a million objects."""
    if response_dict["status_code"] != 200:
        return
    try:
        root = ElementTree.fromstring(response_dict["body"])  # noqa: S314 - as botocore itself reads it
    except ElementTree.ParseError:
        return  # botocore says what is wrong with it
    space = root.tag.removesuffix("ListBucketResult")
    key, size, tag, modified = (f"{space}{name}" for name in ("Key", "Size", "ETag", "LastModified"))
    rest, found = [], []
    for node in root:
        if node.tag != f"{space}Contents":
            rest.append(node)
            continue
        said = {part.tag: part.text or "" for part in node}
        when = datetime.fromisoformat(said[modified])
        found.append({"Key": said[key], "Size": int(said[size]), "ETag": said[tag], "LastModified": when})
    root[:] = rest
    response_dict["body"] = ElementTree.tostring(root)
    customized_response_dict["Contents"] = found


def _s3_object(key: str, size: int, info: dict[str, Any]) -> Object:
    return Object(key, int(size), str(info["ETag"]).strip('"'), info["LastModified"].astimezone(UTC))


class FsspecStore:
    """A folder of any fsspec file system."""

    def __init__(self, filesystem: Any, root: str, settings: Settings) -> None:
        self.filesystem, self.root, self.settings = filesystem, root, settings

    def anything(self) -> bool:
        return bool(self.filesystem.exists(self.root))

    def objects(self) -> Iterator[Object]:
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
                    yield self.object_of(info)

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
                    if not of_storage(error) or failures >= self.settings.store_tries:
                        raise
                    _pause(failures)
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
