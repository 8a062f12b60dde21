"""What both engines show of a video, decided once."""

from __future__ import annotations

from datetime import datetime

# The first topic, and others that are likely: a condition on the table `topics`.
SHOWN_TOPICS = "scope = 'video' AND (rank = 1 OR score >= 0.25)"


def iso(when: datetime | None) -> str | None:
    """A time in UTC as JSON has it."""
    return when.isoformat().replace("+00:00", "Z") if when else None
