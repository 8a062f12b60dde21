"""S3 through botocore, for what fsspec hides: listings page by page over any number of objects, reads that are bound to one
version of an object (`If-Match`) and go on where a connection broke, and keys that look like paths but are none.

Credentials, region and endpoint come from where every AWS tool has them: `AWS_*` variables, profiles, the machine's role.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import cache, cached_property
from typing import Any
from xml.etree import ElementTree

from tasks.errors import ObjectChanged
from tasks.records import Object
from tasks.settings import Settings
from tasks.sources.left_out import Unseen
from tasks.sources.storage import is_storage_error, pause
from tasks.sources.values import EARLIEST, LARGEST, LATEST, is_text, said, size_of, time_of

PIECE = 128 << 10
# How the fingerprint of an object begins that has no ETag: of its size and time. ETags of stores begin otherwise.
NO_ETAG = "no-etag-"


@cache
def _loader(path: str | None) -> Any:
    """What knows the operations of S3: half a second of JSON, which every session would read for itself."""
    from botocore.loaders import create_loader

    return create_loader(path)


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
        session = botocore.session.get_session()
        session.register_component("data_loader", _loader(session.get_config_variable("data_path")))
        client = session.create_client("s3", config=Config(**limits))
        client.meta.events.register("before-parse.s3.ListObjectsV2", _read_listing)
        for operation in ("HeadObject", "GetObject"):
            client.meta.events.register(f"before-parse.s3.{operation}", _without_odd_time)
        return client

    def anything(self) -> bool:
        page = self._ask("list_objects_v2", Prefix=self.prefix, MaxKeys=1)
        return bool(page.get("KeyCount") or page.get("Contents"))

    def objects(self) -> Iterator[Object | Unseen]:
        following: dict[str, str] = {}
        while True:
            page = self._ask("list_objects_v2", Prefix=self.prefix, **following)
            for info in page.get("Contents", ()):
                key = info["Key"]
                if key.endswith("/"):  # a marker that stands for a folder
                    continue
                if len(info) == 4 and key.startswith(self.prefix):
                    yield Object(key[len(self.prefix) :], info["Size"], info["ETag"], info["LastModified"])
                elif found := self._odd(key):
                    yield found
            if not page.get("IsTruncated"):
                return
            token = page.get("NextContinuationToken")
            if not token or token == following.get("ContinuationToken"):
                raise OSError("the store says that there is more, and not where")
            following = {"ContinuationToken": token}

    def _odd(self, name: str) -> Object | Unseen | None:
        """An object whose entry in the listing lacks something, as it is by itself; None when it is not there."""
        if not is_text(name) or not name.startswith(self.prefix) or name == self.prefix:
            return Unseen(name, "odd", "it is not of this prefix" if name else "an entry without a key")
        key = name[len(self.prefix) :]
        try:
            return self.stat(key)
        except FileNotFoundError:
            return None
        except Exception as error:
            if not is_storage_error(error):
                raise
            return Unseen(key, "odd", said(error))

    def stat(self, key: str) -> Object:
        info = self._ask("head_object", Key=self.prefix + key)
        size, tag, when = size_of(info.get("ContentLength")), _tag(info.get("ETag")), time_of(info.get("LastModified"))
        if not tag:
            if size is None and when is None:
                raise OSError("the store says neither its ETag nor its size nor its time")
            tag = f"{NO_ETAG}{size}-{when and int(when.timestamp())}"
        return Object(key, size or 0, tag, when)

    def read(self, key: str, fingerprint: str, write: Callable[[bytes], None]) -> None:
        at, size, failures = 0, -1, 0
        while at != size:
            part = {"Range": f"bytes={at}-"} if at else {}
            if not fingerprint.startswith(NO_ETAG):
                part["IfMatch"] = f'"{fingerprint}"'
            answer = self._ask("get_object", Key=self.prefix + key, **part)
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
                pause(failures)
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
                pause(failures)
            finally:
                body.close()
        raise AssertionError("unreachable")

    def _ask(self, operation: str, **arguments: Any) -> dict[str, Any]:
        from botocore.exceptions import ClientError

        try:
            answer: dict[str, Any] = getattr(self.client, operation)(Bucket=self.bucket, **arguments)
            return answer
        except ClientError as error:
            told = error.response.get("Error", {})
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            if status == 404:
                raise FileNotFoundError(told.get("Message") or str(error)) from error
            if status in (401, 403):
                if operation != "list_objects_v2":
                    self._still_let_in()
                raise PermissionError(told.get("Message") or str(error)) from error
            if status == 416:
                raise EOFError("There are no such bytes.") from error
            if status == 412:
                raise ObjectChanged(f"{arguments.get('Key')} was rewritten while it was read.") from error
            raise
        except Exception as error:
            if is_storage_error(error):
                raise
            raise OSError(f"the store's answer cannot be understood: {said(error)}") from error

    def _still_let_in(self) -> None:
        """Raise OSError when the store refuses all: then it is the credentials' fault, and not that of an object."""
        try:
            self.anything()
        except PermissionError as error:
            raise OSError(f"the store does not take the credentials any more: {error}") from error


def _of_botocore(error: BaseException) -> bool:
    return type(error).__module__.split(".")[0] in ("botocore", "urllib3") or isinstance(error, ConnectionError)


def _read_listing(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: Any) -> None:
    """Read the objects of a page ourselves: botocore takes four times as long, a minute for a million objects."""
    if response_dict["status_code"] != 200:
        return
    try:
        root = ElementTree.fromstring(response_dict["body"])  # noqa: S314 - as botocore itself reads it
    except ElementTree.ParseError as error:
        raise OSError(f"the store's answer is no listing: {error}") from error
    if not root.tag.endswith("ListBucketResult"):  # of a proxy that has a page for people
        raise OSError(f"the store's answer is no listing but <{root.tag}>")
    space = root.tag.removesuffix("ListBucketResult")
    key, size, tag, modified = (f"{space}{name}" for name in ("Key", "Size", "ETag", "LastModified"))
    rest, found = [], []
    for node in root:
        if node.tag != f"{space}Contents":
            rest.append(node)
            continue
        told = {part.tag: part.text or "" for part in node}
        try:
            name, length, name_of_content = told[key], int(told[size]), told[tag].strip('"')
            when = datetime.fromisoformat(told[modified])
            if when.tzinfo is UTC and EARLIEST <= when <= LATEST and 0 <= length <= LARGEST and name_of_content:
                found.append({"Key": name, "Size": length, "ETag": name_of_content, "LastModified": when})
                continue
        except (KeyError, ValueError):
            pass
        found.append(_as_far_as_it_goes(told.get(key, ""), told.get(size), told.get(tag), told.get(modified)))
    root[:] = rest
    response_dict["body"] = ElementTree.tostring(root)
    customized_response_dict["Contents"] = found


def _as_far_as_it_goes(name: str, length: str | None, tag: str | None, modified: str | None) -> dict[str, Any]:
    """An entry whose time may be odd; when its size or its tag is, nothing but its key."""
    size, name_of_content = size_of(length), _tag(tag)
    if not name or size is None or not name_of_content:
        return {"Key": name}
    return {"Key": name, "Size": size, "ETag": name_of_content, "LastModified": time_of(modified)}


def _tag(said: Any) -> str:
    return str(said or "").strip('"')


def _without_odd_time(response_dict: dict[str, Any], **_: Any) -> None:
    """botocore refuses the whole answer over a time that it cannot read."""
    headers = response_dict["headers"]
    if time_of(headers.get("last-modified")) is None:
        headers.pop("last-modified", None)
