"""Whether the rows of the lake keep the clock of files that are known (tests/clocked_media.py)."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from clocked_media import PLAIN, Variant

from tasks.lake.store import Lake
from tasks.lake.views import connect

MOST_MS = 80  # two pictures of 25 a second
LENGTH_MS = 300  # that a length may be off: codecs begin and end with some silence of their own
FEWEST = 0.6  # of the words there are: a codec for telephones costs some


@dataclass(frozen=True)
class Heard:
    """What the lake has of a file; times in ms."""

    video_id: str
    status: str
    reason: str | None
    duration_ms: int | None
    words: tuple[tuple[str, int], ...] = ()
    cues: tuple[tuple[int, int, str], ...] = ()

    def once(self) -> dict[str, int]:
        """The words that are said once, and when."""
        times = Counter(word for word, _ in self.words)
        return {word: start for word, start in self.words if times[word] == 1}


@dataclass(frozen=True)
class Rows:
    """How far the rows of a file are from what they must be. Shifts in ms: later is positive."""

    variant: Variant
    heard: Heard | None
    expected: int = 0  # words
    shifts: Mapping[str, int] = field(default_factory=dict)
    lasts_ms: int = 0

    @property
    def median_ms(self) -> float | None:
        return statistics.median(self.shifts.values()) if self.shifts else None

    @property
    def worst_ms(self) -> int | None:
        return max(self.shifts.values(), key=abs, default=None)

    def faults(self) -> list[str]:
        """What is wrong, in words."""
        if self.heard is None:
            return ["there is no row"]
        if self.heard.status != "indexed" or self.heard.reason:
            return [f"{self.heard.status}, {self.heard.reason}"]
        found = []
        if len(self.shifts) < FEWEST * self.expected:
            found.append(f"{len(self.shifts)} of {self.expected} words")
        if self.worst_ms is not None and abs(self.worst_ms) > MOST_MS:
            worst = next(word for word, shift in self.shifts.items() if shift == self.worst_ms)
            found.append(f"'{worst}' is {self.worst_ms:+d} ms off")
        off = None if self.heard.duration_ms is None else self.heard.duration_ms - self.lasts_ms
        if off is None or abs(off) > LENGTH_MS:
            found.append("no length" if off is None else f"its length is {off:+d} ms off")
        return found


def index(folder: Path, environment: Mapping[str, str] | None = None) -> None:
    """Index a folder with the demo models, as a user does. The lake is that of the environment."""
    command = [sys.executable, "-m", "nightscribe", "index", str(folder), "--json"]
    done = subprocess.run(command, env=dict(environment or os.environ), capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):  # 1: some failed, which the rows say
        raise RuntimeError(done.stderr)


def read(lake: Path) -> dict[str, Heard]:
    """What the lake has, by the names of the files."""
    connection = connect(Lake(str(lake)))
    words: dict[str, list[tuple[str, int]]] = {}
    cues: dict[str, list[tuple[int, int, str]]] = {}
    for video_id, word, start in connection.execute(
        "SELECT video_id, word, start_ms FROM words ORDER BY video_id, word_no"
    ).fetchall():
        words.setdefault(video_id, []).append((word, start))
    for video_id, *cue in connection.execute(
        "SELECT video_id, start_ms, end_ms, text FROM cues ORDER BY video_id, cue_no"
    ).fetchall():
        cues.setdefault(video_id, []).append(tuple(cue))
    rows = connection.execute("SELECT key, video_id, status, reason, duration_ms FROM videos").fetchall()
    return {
        key: Heard(video_id, *row, tuple(words.get(video_id, ())), tuple(cues.get(video_id, ())))
        for key, video_id, *row in rows
    }


def compare(variant: Variant, rows: Mapping[str, Heard], *, gaps: bool) -> Rows:
    """Each word that is said once, in the plain file and in this one: how much later it is than it must be."""
    heard = rows.get(variant.name)
    there = {word: variant.when(start, gaps=gaps) for word, start in rows[PLAIN].once().items()}
    expected = {word: start for word, start in there.items() if start is not None}
    found = heard.once() if heard else {}
    shifts = {word: found[word] - start for word, start in expected.items() if word in found}
    return Rows(variant, heard, len(expected), shifts, variant.lasts(gaps=gaps))
