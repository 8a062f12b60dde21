"""Slices of equal hours of media, in the order they are to be done."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal

from tasks.errors import Misconfigured
from tasks.records import VideoTask
from tasks.runs.costs import media_hours

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
    work: tuple[VideoTask, ...]
    media_s: float


def ordered(work: Iterable[VideoTask], order: Order) -> list[VideoTask]:
    """By the time of the objects or by their keys; what has no time comes last."""
    if order == "key":
        return sorted(work, key=lambda item: item.key)
    if order == "oldest":
        return sorted(work, key=lambda item: (item.modified_at is None, item.modified_at or _EARLIEST, item.key))
    return sorted(work, key=lambda item: (item.modified_at or _EARLIEST, item.key), reverse=True)


def between(
    work: Iterable[VideoTask], *, prefix: str, since: datetime | None, until: datetime | None
) -> Iterator[VideoTask]:
    """Only objects under a prefix, and of a time from `since` on and before `until`."""
    for item in work:
        when = item.modified_at or _EARLIEST
        if item.key.startswith(prefix) and (not since or when >= since) and (not until or when < until):
            yield item


def cut(work: Sequence[VideoTask], lengths: Sequence[float], hours: float | None) -> list[Slice]:
    """Slices of `hours` of media, one after the other; every one has a video at least.

    Without `hours`: two, or as many as it takes to have no more than 2,000 slices.

    Raises:
        Misconfigured: `hours` would make more.
    """
    weights = [VIDEO_S + length for length in lengths]
    total = sum(weights)
    share = 3600 * hours if hours else max(3600 * LEAST_HOURS, total / MOST_SLICES)
    part = total / max(1, round(total / share))
    chunks: list[list[int]] = [[]]
    passed, filled, border = 0.0, 0.0, part
    for n, weight in enumerate(weights):
        if chunks[-1] and passed + weight / 2 > border:  # more of it would lie beyond the border than before it
            chunks.append([])
            filled = 0.0
            while border < passed + weight / 2:
                border += part
        chunks[-1].append(n)
        filled += weight
        passed += weight
    if len(chunks) > 1 and filled < part / 2:
        chunks[-2:] = [chunks[-2] + chunks[-1]]
    if hours and len(chunks) > MOST_SLICES:
        least = total / 3600 / MOST_SLICES
        unit = 10.0 ** (math.floor(math.log10(least)) - 2)
        raise Misconfigured(
            f"Slices of {hours:g} hours would be {len(chunks):,}, and {MOST_SLICES:,} are the most that Prefect bears.",
            next=f"--slice-hours {math.ceil(least / unit) * unit:g} or more, or leave it out.",
        )
    return [
        Slice(number, tuple(work[n] for n in chunk), sum(lengths[n] for n in chunk))
        for number, chunk in enumerate(chunks)
        if chunk
    ]


def lengths(work: Sequence[VideoTask], total_hours: float, connection: duckdb.DuckDBPyConnection | None) -> list[float]:
    """Seconds of each video by size and extension, as in this lake, scaled so that all of them are `total_hours`."""
    rate: dict[str, float] = {}
    found = []
    for item in work:
        extension = PurePosixPath(item.key).suffix.lower()
        if extension not in rate:
            rate[extension] = media_hours(connection, [(f"x{extension}", 10**9)])[0]
        found.append(item.size_bytes * rate[extension] if item.is_decoded else 0.0)
    scale = 3600 * total_hours / (sum(found) or 1)
    return [length * scale for length in found]
