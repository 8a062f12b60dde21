"""What a store is to a bucket, and which faults are its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Protocol

from tasks.records import Object
from tasks.sources.left_out import Unseen

CHUNK = 4 << 20
# What these raise when a store does not answer is no OSError.
LIBRARIES = ("botocore", "aiobotocore", "aiohttp", "urllib3", "azure", "gcsfs", "google")


class Store(Protocol):
    """What a bucket needs of a store. What goes wrong is raised as the library says it (`is_storage_error`)."""

    def anything(self) -> bool:
        """Whether there is an object at all."""

    def objects(self) -> Iterator[Object | Unseen]:
        """All objects, as a stream, and names behind which nothing usable was found."""

    def stat(self, key: str) -> Object:
        """One object as it is now; FileNotFoundError, PermissionError."""

    def read(self, key: str, fingerprint: str, write: Callable[[bytes], None]) -> None:
        """Hand an object's bytes to `write`, once each; ObjectChanged where the store sees that it is another one."""

    def part(self, key: str, start: int, size: int) -> bytes:
        """At most `size` bytes from `start` on; fewer at the end."""


def is_storage_error(error: BaseException) -> bool:
    """Whether the store failed, and not this program."""
    return isinstance(error, OSError) or type(error).__module__.split(".")[0] in LIBRARIES


def pause(failures: int) -> None:
    """Wait before a request is made again."""
    time.sleep(min(10.0, 0.1 * 2**failures))
