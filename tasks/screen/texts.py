"""What was to be read on the screen, from when to when, and whether it only repeats what is said."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

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
    """A text that stands from `start_ms` to `end_ms`; `score` is that of its least sure line, `spoken` the share of its words that
    are said at about that time."""

    text: str
    start_ms: int
    end_ms: int
    score: float
    spoken: float


def texts(frames: Iterable[Shown], words: Sequence[Word]) -> list[ScreenText]:
    """Each text once for all frames in a row that show it: as one is read a little differently in every frame, by its letters."""
    found: list[ScreenText] = []
    open_: dict[str, int] = {}  # of what the frame before showed: the number of its row
    before: Shown | None = None
    for frame in frames:
        if before is None or frame.start_ms > before.end_ms:
            open_ = {}
        now: dict[str, int] = {}
        for text, score in frame.lines:
            letters = _key(text)
            if not letters or letters in now:
                continue
            if letters in open_:
                number = open_[letters]
                old = found[number]
                better = text if score > old.score else old.text
                found[number] = ScreenText(better, old.start_ms, frame.end_ms, max(score, old.score), 0.0)
            else:
                number = len(found)
                found.append(ScreenText(text, frame.start_ms, frame.end_ms, score, 0.0))
            now[letters] = number
        open_, before = now, frame
    starts = [word.start_ms for word in words]
    return [ScreenText(one.text, one.start_ms, one.end_ms, one.score, _spoken(one, words, starts)) for one in found]


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
