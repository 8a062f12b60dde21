"""Slices of equal hours of media, in the order they are to be done."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal

from tasks.costs import media_hours
from tasks.records import Work

if TYPE_CHECKING:
    import duckdb

Order = Literal["newest", "oldest", "key"]
MOST_SLICES = 2000  # each is a run that Prefect keeps
LEAST_HOURS = 2.0
VIDEO_S = 1.0  # what a video costs beside its length, as seconds of media
_EARLIEST = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Slice:
    """Some of the work. `media_s` is an estimate."""

    number: int
    work: tuple[Work, ...]
    media_s: float


def ordered(work: Iterable[Work], order: Order) -> list[Work]:
    """By the time of the objects or by their keys; what has no time comes last."""
    if order == "key":
        return sorted(work, key=lambda item: item.key)
    if order == "oldest":
        return sorted(work, key=lambda item: (item.modified_at is None, item.modified_at or _EARLIEST, item.key))
    return sorted(work, key=lambda item: (item.modified_at or _EARLIEST, item.key), reverse=True)


def between(work: Iterable[Work], *, prefix: str, since: datetime | None, until: datetime | None) -> Iterator[Work]:
    """Only objects under a prefix, and of a time from `since` on and before `until`."""
    for item in work:
        when = item.modified_at or _EARLIEST
        if item.key.startswith(prefix) and (not since or when >= since) and (not until or when < until):
            yield item


def cut(work: Sequence[Work], lengths: Sequence[float], hours: float | None) -> list[Slice]:
    """Slices of `hours` of media, one after the other; every one has a video at least.

    Without `hours`: two, or as many as it takes to have no more than 2,000 slices.
    """
    weights = [VIDEO_S + length for length in lengths]
    total = sum(weights)
    share = 3600 * hours if hours else max(3600 * LEAST_HOURS, total / MOST_SLICES)
    count = max(1, round(total / share))
    slices: list[Slice] = []
    chunk: list[Work] = []
    media, passed = 0.0, 0.0
    for item, length, weight in zip(work, lengths, weights, strict=True):
        chunk.append(item)
        media += length
        passed += weight
        # The border after slice n lies at n equal parts of the whole, so that no rest is left at the end.
        if passed >= total * (len(slices) + 1) / count - 1e-6:
            slices.append(Slice(len(slices), tuple(chunk), media))
            chunk, media = [], 0.0
            while len(slices) < count and passed >= total * (len(slices) + 1) / count - 1e-6:
                count -= 1  # one long video took more than a part of its own
    if chunk:
        slices.append(Slice(len(slices), tuple(chunk), media))
    return slices


def lengths(work: Sequence[Work], total_hours: float, connection: duckdb.DuckDBPyConnection | None) -> list[float]:
    """Seconds of each video by size and extension, as in this lake, scaled so that all of them are `total_hours`."""
    rate: dict[str, float] = {}
    found = []
    for item in work:
        extension = PurePosixPath(item.key).suffix.lower()
        if extension not in rate:
            rate[extension] = media_hours(connection, [(f"x{extension}", 10**9)])[0]
        found.append(item.size_bytes * rate[extension] if item.from_stage in ("audio", "decode") else 0.0)
    scale = 3600 * total_hours / (sum(found) or 1)
    return [length * scale for length in found]
