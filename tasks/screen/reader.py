"""Reads what is written in a picture: lines of text with where they stand.

By RapidOCR (the extra `ocr`), which carries its models (PP-OCR) in its package: nothing is fetched. It reads Latin letters, Chinese
and Japanese; of an alphabet that it does not know it says nothing, as of a picture without writing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from tasks.arrays import Array
from tasks.errors import ModelNotAvailable
from tasks.models.load import loaded_once

INSTALL = 'Install it with the extra: pip install "nightscribe[ocr]"'


@dataclass(frozen=True)
class ScreenLine:
    """A line of writing; `x` and `y` (of its upper left corner), `width` and `height` are shares of those of the picture, `score`
    0 to 1."""

    text: str
    x: float
    y: float
    width: float
    height: float
    score: float


class Reader(Protocol):
    """What can read."""

    def read(self, picture: str | Path) -> tuple[ScreenLine, ...]:
        """The lines of a picture in a file, from top to bottom."""


@dataclass(frozen=True)
class RapidReader:
    """RapidOCR with the models of its package."""

    engine: Any

    def read(self, picture: str | Path) -> tuple[ScreenLine, ...]:
        with Image.open(picture) as opened:
            # Bytes alone: of a picture in floats it says that nothing is written there.
            pixels = np.asarray(opened.convert("RGB"), np.uint8)
        # It takes colours in OpenCV's order.
        found = self.engine(np.ascontiguousarray(pixels[..., ::-1]))
        if found is None or found.boxes is None or found.txts is None:
            return ()
        return in_order(_lines(found.boxes, found.txts, found.scores, pixels.shape[1], pixels.shape[0]))


def _lines(
    boxes: Sequence[Array], texts: Sequence[str], scores: Sequence[float], width: int, height: int
) -> list[ScreenLine]:
    lines = []
    for box, text, score in zip(boxes, texts, scores, strict=True):
        corners = np.asarray(box, np.float64).reshape(-1, 2) / (width, height)
        left, top = corners.min(axis=0).clip(0, 1).tolist()
        right, bottom = corners.max(axis=0).clip(0, 1).tolist()
        if said := " ".join(text.split()):
            lines.append(ScreenLine(said, left, top, right - left, bottom - top, float(score)))
    return lines


def in_order(lines: Sequence[ScreenLine]) -> tuple[ScreenLine, ...]:
    """As one reads: line after line, and of what stands at one height from the left."""
    rows: list[list[ScreenLine]] = []
    for line in sorted(lines, key=lambda one: one.y + one.height / 2):
        middle = line.y + line.height / 2
        if rows and any(one.y <= middle <= one.y + one.height for one in rows[-1]):
            rows[-1].append(line)
        else:
            rows.append([line])
    return tuple(line for row in rows for line in sorted(row, key=lambda one: one.x))


def load_reader() -> Reader:
    """The reader, once for this process.

    Raises:
        ModelNotAvailable: RapidOCR is not installed, or not what runs its models.
    """

    def load() -> Reader:
        try:
            import onnxruntime  # noqa: F401  # without it RapidOCR says so at the first picture
            from rapidocr import RapidOCR
        except ImportError as error:
            raise ModelNotAvailable(
                f"What reads writing on the screen is not installed ({error.name}).", next=INSTALL
            ) from error
        return RapidReader(RapidOCR(params={"Global.log_level": "error"}))

    return loaded_once(("screen", "rapidocr"), load)
