"""What was to be read on the screen, from when to when, and whether it only repeats what is said.

A text carries the others that stand with it, as a passage carries the words before it: of two that stand together one carries the
other, so that a search for words of both finds them, and once.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from tasks.records import Word

NEAR_MS = 3000  # by which burnt-in subtitles come before or after what they repeat
_LETTERS = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")


@dataclass(frozen=True)
class Shown:
    """Lines that one frame shows, from `start_ms` to `end_ms`, each with its score."""

    start_ms: int
    end_ms: int
    lines: tuple[tuple[str, float], ...]


@dataclass(frozen=True)
class ScreenText:
    """A text that stands from `start_ms` to `end_ms`; `score` is that of its surest reading, `spoken` the share of its words that
    are said at about that time. `carried` is what stands with it that does not carry it: what was there before, and what came with
    it and stands above; the line above comes last, so that a sentence goes on over lines."""

    text: str
    start_ms: int
    end_ms: int
    score: float
    spoken: float
    carried: str = ""


def texts(frames: Iterable[Shown], words: Sequence[Word]) -> list[ScreenText]:
    """Each text once for all frames in a row that show it: as one is read a little differently in every frame, by its letters."""
    found: list[ScreenText] = []
    open_: dict[str, int] = {}  # of what the frame before showed: the number of its row
    before: Shown | None = None
    for frame in frames:
        if before is None or frame.start_ms > before.end_ms:
            open_ = {}
        lines: dict[str, tuple[str, float]] = {}
        for line in frame.lines:
            if letters := _key(line[0]):
                lines.setdefault(letters, line)
        now: dict[str, int] = {}
        for at, (letters, (text, score)) in enumerate(lines.items()):
            if letters in open_:
                now[letters] = number = open_[letters]
                old = found[number]
                better = text if score > old.score else old.text
                found[number] = replace(old, text=better, end_ms=frame.end_ms, score=max(score, old.score))
                continue
            below = [line for key, (line, _) in islice(lines.items(), at + 1, None) if key in open_]
            above = [line for line, _ in islice(lines.values(), at)]
            now[letters] = len(found)
            found.append(ScreenText(text, frame.start_ms, frame.end_ms, score, 0.0, " ".join([*below, *above])))
        open_, before = now, frame
    starts = [word.start_ms for word in words]
    return [replace(one, spoken=_spoken(one, words, starts)) for one in found]


def _key(text: str) -> str:
    """Its letters and digits alone."""
    return "".join(_LETTERS.findall(text.casefold().replace("’", "'")))


def _spoken(text: ScreenText, words: Sequence[Word], starts: Sequence[int]) -> float:
    """The share of its words that are said while it stands, or a little before or after."""
    own = [_key(word) for word in text.text.split() if _key(word)]
    if not own:
        return 0.0
    first = bisect_left(starts, text.start_ms - NEAR_MS)
    last = bisect_right(starts, text.end_ms + NEAR_MS)
    said = {_key(word.word) for word in words[first:last]}
    return sum(word in said for word in own) / len(own)
