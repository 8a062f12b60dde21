"""What the lake knows of videos that are to be forgotten, and what of them went."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

from tasks.sources.listing import SIDECAR_SUFFIXES

BURIED = "status IN ('forgotten', 'gone') AND key = ''"  # a bare row: all that is left of a video


@dataclass(frozen=True)
class KnownVideos:
    """What the lake knows of videos before they are forgotten; little where an earlier try came far."""

    ids: tuple[str, ...]
    rows: tuple[dict[str, Any], ...]  # of `videos`, without bare ones
    given: tuple[tuple[str, str, str], ...] = ()  # id, URI of the bucket and key, where the one who asks knows them

    @property
    def objects(self) -> tuple[tuple[str, str, str], ...]:
        """Id, URI of the bucket, and key."""
        named = {(row["video_id"], row["bucket_uri"] or "", row["key"]) for row in self.rows if row["key"]}
        return tuple(sorted(named | set(self.given)))

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(sorted({key for _, _, key in self.objects}))

    @property
    def sidecars(self) -> tuple[str, ...]:
        """Names that metadata beside them may have."""
        stems = {stem for key in self.keys for stem in (key, re.sub(r"\.[^./]*$", "", key))}
        return tuple(sorted(f"{stem}{suffix}" for stem in stems for suffix in SIDECAR_SUFFIXES))

    @property
    def identifiers(self) -> tuple[str, ...]:
        """By what a report is known to name one of them: ids, and keys as JSON writes them."""
        return (
            *self.ids,
            *sorted({json.dumps(key, ensure_ascii=plain)[1:-1] for key in self.keys for plain in (True, False)}),
        )


@dataclass
class Erased:
    """What went, by table; `left` says what could not go yet, as sentences."""

    rows: dict[str, int] = field(default_factory=dict)
    files_rewritten: dict[str, int] = field(default_factory=dict)
    files_removed: dict[str, int] = field(default_factory=dict)
    vocabulary: int = 0
    reports: int = 0
    log_files: int = 0
    log_cleaned: int = 0
    checked_files: int = 0
    handed_over: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def add(self, other: Erased) -> None:
        """Count what went another time."""
        for mine, more in (
            (self.rows, other.rows),
            (self.files_rewritten, other.files_rewritten),
            (self.files_removed, other.files_removed),
        ):
            for table, n in more.items():
                mine[table] = mine.get(table, 0) + n
        self.vocabulary += other.vocabulary
        self.reports += other.reports
        self.log_files += other.log_files
        self.log_cleaned += other.log_cleaned
        self.checked_files += other.checked_files
        self.handed_over += other.handed_over
        self.left += other.left
