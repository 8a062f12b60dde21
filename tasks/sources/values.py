"""What file systems and stores say of an object, as values that Python, DuckDB and Parquet can hold.

Some hand out a year 30828, a negative size or no tag at all. Such a value is none; the object it stands beside is as good as any.
"""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

# Two days within what Python's years allow: in another time zone a time may be a day earlier or later.
EARLIEST = datetime(1, 1, 3, tzinfo=UTC)
LATEST = datetime(9999, 12, 29, tzinfo=UTC)
LARGEST = 2**63 - 1


def time_of(told: Any) -> datetime | None:
    """A time in UTC, of a datetime (without a zone it is UTC), seconds since 1970, or a text of RFC 3339 or RFC 5322.

    None for what is no time, and for times that cannot be kept.
    """
    try:
        if isinstance(told, (float, int)):
            when = datetime.fromtimestamp(told, UTC)
        else:
            found = told if isinstance(told, datetime) else _read(told)
            if found is None:
                return None
            when = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
        return when if EARLIEST <= when <= LATEST else None
    except Exception:  # whatever its type thinks of the year 30828
        return None


def _read(told: Any) -> datetime | None:
    if not isinstance(told, str):
        return None
    try:
        return datetime.fromisoformat(told.strip())
    except ValueError:
        return parsedate_to_datetime(told)


def size_of(told: Any) -> int | None:
    """A size in bytes, or None for what cannot be one."""
    try:
        size = int(told)
    except Exception:
        return None
    return size if 0 <= size <= LARGEST else None


def text_of(told: Any) -> str:
    """A value as a part of a fingerprint: the same in every run, so without the address of what has no text of its own."""
    try:
        text = str(told)
        text.encode("utf-8")
    except Exception:
        return "None"
    return "None" if " at 0x" in text else text


def is_text(told: Any) -> bool:
    """Whether it can be a key: some names that file systems allow are no Unicode."""
    if not isinstance(told, str) or not told:
        return False
    if told.isascii():
        return True
    try:
        told.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def readable(told: Any) -> str:
    """A name for people, whatever is in it."""
    try:
        return str(told).encode("utf-8", "backslashreplace").decode("utf-8")[:1000]
    except Exception:
        return ""


def said(error: BaseException) -> str:
    """What an error says, in a few words."""
    return (error.strerror if isinstance(error, OSError) else None) or readable(error) or type(error).__name__
