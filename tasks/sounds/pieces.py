"""A soundtrack in pieces of equal length, the same ones however often it is cut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import gcd
from typing import overload

import numpy as np
from scipy.signal import resample_poly

from tasks.arrays import Array
from tasks.records import SILENCE, Audio


@dataclass(frozen=True)
class Piece:
    """From `start` to `stop`, samples of a soundtrack."""

    start: int
    stop: int


def cut(samples: int, rate: int, *, piece_s: float, overlap: float) -> list[Piece]:
    """Pieces of `piece_s`, of which the next has the share `overlap` as well, the last one at the first place from which it
    reaches the end."""
    length, step = round(piece_s * rate), max(1, round(piece_s * (1 - overlap) * rate))
    starts = range(0, max(1, samples - length + step), step) if samples else range(0)
    return [Piece(start, min(start + length, samples)) for start in starts]


class Pieces(Sequence[Array]):
    """The sound of those pieces of a file in which anything is to be heard, read when it is asked for: (samples,) float32 from -1
    to 1 at `rate`. `chosen` are these pieces."""

    def __init__(self, audio: Audio, rate: int, *, piece_s: float, overlap: float) -> None:
        self._path = audio.path
        self._rates = audio.rate, rate
        pieces = cut(audio.samples, audio.rate, piece_s=piece_s, overlap=overlap)
        self.chosen = [piece for piece in pieces if self._is_heard(piece)]

    def _is_heard(self, piece: Piece) -> bool:
        part = self._samples(piece)
        return len(part) > 0 and max(int(part.max()), -int(part.min())) > SILENCE

    def __len__(self) -> int:
        return len(self.chosen)

    @overload
    def __getitem__(self, at: int) -> Array: ...
    @overload
    def __getitem__(self, at: slice) -> list[Array]: ...
    def __getitem__(self, at: int | slice) -> Array | list[Array]:
        if isinstance(at, slice):
            return [self._read(piece) for piece in self.chosen[at]]
        return self._read(self.chosen[at])

    def _read(self, piece: Piece) -> Array:
        return resampled(self._samples(piece).astype(np.float32) / np.float32(32768), *self._rates)

    def _samples(self, piece: Piece) -> Array:
        """Read, and not mapped: what was seen of a mapped file counts as this process's memory, 350 MB an hour."""
        part: Array = np.fromfile(self._path, np.int16, piece.stop - piece.start, offset=2 * piece.start)
        return part


def resampled(sound: Array, old: int, new: int) -> Array:
    """(samples,) float32 at another rate."""
    if old == new:
        return sound
    common = gcd(old, new)
    made: Array = resample_poly(sound, new // common, old // common).astype(np.float32)
    return made
