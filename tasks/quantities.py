"""Lengths of time and numbers of bytes, for people."""

from __future__ import annotations


def lasting(ms: float | None) -> str:
    """How long something is: `0.4 s`, `45 s`, `12 min`, `1 h 5 min`, `240 h`."""
    if ms is None:
        return ""
    seconds = round(ms / 1000)
    if 0 < ms < 9_950:
        return f"{ms / 1000:.1f}".removesuffix(".0") + " s"
    if seconds < 60:
        return f"{seconds} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    if hours >= 100 or (hours and not minutes):
        return f"{hours:,} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def size(count: int | None) -> str:
    """Bytes: `12 kB`, `3.4 MB`, `120 GB`."""
    if count is None:
        return ""
    for unit, limit in (("kB", 1e6), ("MB", 1e9), ("GB", 1e12)):
        if count < limit:
            scaled = count / limit * 1000
            return f"{scaled:.1f} {unit}" if 0 < scaled < 10 else f"{scaled:.0f} {unit}"
    return f"{count / 1e12:,.1f} TB"
