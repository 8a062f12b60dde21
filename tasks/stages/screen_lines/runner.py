"""Reads the frames of a video."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tasks.screen.reader import Reader, ScreenLine, load_reader
from tasks.stages.base import Input, Rows
from tasks.stages.screen_lines.options import ScreenLinesOptions


@dataclass(frozen=True)
class ScreenLinesRunner:
    options: ScreenLinesOptions
    reader: Reader

    @classmethod
    def of(cls, options: ScreenLinesOptions, device: str) -> ScreenLinesRunner:
        """Raises ModelNotAvailable."""
        return cls(options, load_reader())

    def make(self, video: Input) -> Mapping[str, Rows]:
        read: dict[str, tuple[ScreenLine, ...]] = {}  # what looks the same is read once
        rows = []
        for frame in video.pictures or ():
            if frame.path not in read:
                read[frame.path] = self.reader.read(frame.path)
            for number, line in enumerate(read[frame.path]):
                if line.score >= self.options.least:
                    rows.append(
                        {
                            "start_ms": frame.start_ms,
                            "end_ms": frame.end_ms,
                            "line": number,
                            "text": line.text,
                            "x": line.x,
                            "y": line.y,
                            "width": line.width,
                            "height": line.height,
                            "score": line.score,
                        }
                    )
        return {"screen_lines": rows}
