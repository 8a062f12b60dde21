"""Makes texts of the lines of frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from tasks.screen.texts import ScreenText, Shown, texts
from tasks.stages.base import Input, Rows
from tasks.text.folding import spaced, words_of
from tasks.text.passages import CARRIED_WORDS


@dataclass(frozen=True)
class ScreenRunner:
    def make(self, video: Input) -> Mapping[str, Rows]:
        rows = sorted(video.rows["screen_lines"], key=lambda row: (row["start_ms"], row["line"]))
        frames = [
            Shown(start, end, tuple((row["text"], row["score"]) for row in lines))
            for (start, end), lines in groupby(rows, key=lambda row: (row["start_ms"], row["end_ms"]))
        ]
        return {"screen": screen_rows(texts(frames, video.words))}


def screen_rows(found: Sequence[ScreenText]) -> list[dict[str, Any]]:
    """The rows of `screen` of one video: of what is carried, the last words, as many as a passage carries."""
    rows = []
    for number, one in enumerate(found):
        carried = " ".join(one.carried.split()[-CARRIED_WORDS:])
        folded = {"terms": spaced(words_of(one.text)), "carried_terms": spaced(words_of(carried))}
        rows.append({"text_no": number, **asdict(one), "carried": carried, **folded})
    return rows
