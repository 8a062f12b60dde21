"""Makes texts of the lines of frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import groupby

from tasks.screen.texts import Shown, texts
from tasks.stages.base import Input, Rows


@dataclass(frozen=True)
class ScreenRunner:
    def make(self, video: Input) -> Mapping[str, Rows]:
        rows = sorted(video.rows["screen_lines"], key=lambda row: (row["start_ms"], row["line"]))
        frames = [
            Shown(start, end, tuple((row["text"], row["score"]) for row in lines))
            for (start, end), lines in groupby(rows, key=lambda row: (row["start_ms"], row["end_ms"]))
        ]
        return {"screen": [asdict(text) for text in texts(frames, video.words)]}
