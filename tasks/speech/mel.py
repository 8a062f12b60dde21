"""Log-mel features of models whose frames lie around their moment, so that what is left and right of a window counts.

Each of these families pads what it is given, and scales it by something of the whole input: its loudest moment, or the mean of
each bin. Here a window has the frames that the whole file would have there, scaled by the whole file's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import cached_property
from typing import Any, Generic, Literal, TypeVar

import numpy as np
import torch
from transformers.audio_utils import mel_filter_bank

from tasks.arrays import Array
from tasks.records import Audio
from tasks.speech.features import CHUNK_S, SAMPLE_RATE, Moments, read_window

S = TypeVar("S")


class Centred(ABC, Generic[S]):
    """Frames every `hop` samples, each of `n_fft` samples around its moment; `S` is what of a whole file scales them."""

    padding: Literal["reflect", "constant"] = "reflect"  # of the file's ends

    def __init__(self, hop: int, n_fft: int) -> None:
        self.unit = self.reach = self.hop = hop
        self.n_fft = n_fft
        self._known: tuple[Audio, S] | None = None

    @abstractmethod
    def raw(self, wave: Array) -> Array:
        """(samples,) to (frames, bins), where half an FFT at each end makes no frame of its own."""

    @abstractmethod
    def measure(self, pieces: Iterator[Array]) -> S:
        """What scales a file, from its raw frames."""

    def of(self, audio: Audio) -> S:
        """What scales a file, from one pass over it; windows of a file come one after the other."""
        if self._known is None or self._known[0] != audio:
            count, size = audio.samples // self.hop, CHUNK_S * SAMPLE_RATE // self.hop
            pieces = (self.frames(audio, at, min(size, count - at)) for at in range(0, count, size))
            self._known = (audio, self.measure(pieces))
        return self._known[1]

    def frames(self, audio: Audio, first: int, count: int) -> Array:
        """Raw frames `first` to `first + count` of a file."""
        half = self.n_fft // 2
        return self.raw(self.read(audio, first * self.hop - half, (first + count) * self.hop + half))

    def read(self, audio: Audio, first: int, last: int) -> Array:
        """Samples `first` to `last`, padded where these are outside the file."""
        inside = max(0, first), min(audio.samples, last)
        wave = read_window(audio, inside[0], inside[1] - inside[0])
        missing = (inside[0] - first, last - inside[1])
        return np.pad(wave, missing, mode=self.padding) if any(missing) else wave

    def spectrum(self, wave: Array, window: torch.Tensor) -> torch.Tensor:
        """The power of each frequency: (samples,) to (frequencies, frames), without a frame at the very end."""
        sound = torch.from_numpy(np.ascontiguousarray(wave, np.float32))
        made = torch.stft(sound, self.n_fft, self.hop, len(window), window=window, center=False, return_complex=True)
        return made[:, : (len(wave) - self.n_fft) // self.hop].abs().square()


class LogMel(Centred[float]):
    """For Whisper's encoder: cut so far below the loudest moment of the file (`LogMelExtractor`)."""

    def __init__(self, extractor: Any) -> None:
        super().__init__(int(extractor.hop_length), int(extractor.n_fft))
        self.extractor = extractor

    def raw(self, wave: Array) -> Array:
        made: Array = self.extractor.power(wave, whole=False)
        return made

    def measure(self, pieces: Iterator[Array]) -> float:
        return max(float(power.max()) for power in pieces)

    def window(self, audio: Audio, start: int, samples: int) -> Array:
        """Shape (frames, bins), float32."""
        scaled: Array = self.extractor.scaled(
            self.frames(audio, start // self.hop, samples // self.hop), self.of(audio)
        )
        return scaled


class Parakeet(Centred[tuple[Array, Array]]):
    """For Parakeet: each bin to zero mean and unit deviation over the file, after a filter that lifts high frequencies."""

    padding = "constant"
    GUARD, EPSILON = 2**-24, 1e-5

    def __init__(self, extractor: Any) -> None:
        super().__init__(int(extractor.hop_length), int(extractor.n_fft))
        self.lift = float(extractor.preemphasis or 0.0)
        self._window = torch.hann_window(int(extractor.win_length), periodic=False)
        self._filters = torch.as_tensor(extractor.mel_filters)

    def read(self, audio: Audio, first: int, last: int) -> Array:
        wave = super().read(audio, first - 1, min(last, audio.samples))
        lifted = wave[1:] - np.float32(self.lift) * wave[:-1]
        return np.pad(lifted, (0, last - first - len(lifted)))

    def raw(self, wave: Array) -> Array:
        made: Array = (self._filters @ self.spectrum(wave, self._window) + self.GUARD).log().T.numpy()
        return made

    def measure(self, pieces: Iterator[Array]) -> tuple[Array, Array]:
        moments = Moments(float(np.log(self.GUARD)))
        for piece in pieces:
            moments.add(piece)
        return moments.of_bins()

    def window(self, audio: Audio, start: int, samples: int) -> Array:
        """Shape (frames, bins), float32."""
        mean, deviation = self.of(audio)
        frames = self.frames(audio, start // self.hop, samples // self.hop)
        scaled: Array = (frames - mean) / (deviation + np.float32(self.EPSILON))
        return scaled


class Granite(Centred[float]):
    """For Granite Speech: cut below the loudest moment of the file, with each frame's slope beside it, two frames stacked.

    Its extractor needs torchaudio; this one reads the extractor's settings and does not.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        super().__init__(int(settings.get("hop_length", 160)), int(settings.get("n_fft", 512)))
        self.unit = self.reach = 2 * self.hop
        self.bins = int(settings.get("num_mel_bins", 80))
        self.floor = float(settings.get("logmel_floor_db", 8.0))
        self._window = torch.hann_window(int(settings.get("win_length", 400)))

    @cached_property
    def _filters(self) -> torch.Tensor:
        frequencies = 1 + self.n_fft // 2
        bank = mel_filter_bank(frequencies, self.bins, 0.0, SAMPLE_RATE / 2, SAMPLE_RATE, norm=None, mel_scale="htk")
        return torch.from_numpy(bank.T.astype(np.float32))

    def raw(self, wave: Array) -> Array:
        made: Array = (self._filters @ self.spectrum(wave, self._window)).clamp_(min=1e-10).log10_().T.numpy()
        return made

    def measure(self, pieces: Iterator[Array]) -> float:
        return max(float(piece.max()) for piece in pieces)

    def window(self, audio: Audio, start: int, samples: int) -> Array:
        """Shape (frames, 4 * bins), float32: a frame, its slope, the next frame, its slope."""
        loudest, count = self.of(audio), audio.samples // self.hop
        first, last = start // self.hop, start // self.hop + 2 * (samples // self.unit)
        near = max(0, first - 1), min(count, last + 1)
        frames = self.frames(audio, near[0], near[1] - near[0])
        scaled = np.maximum(frames, np.float32(loudest - self.floor)) / np.float32(4) + np.float32(1)
        # At the ends of the file the nearest frame stands for the one that is missing.
        scaled = np.pad(scaled, ((near[0] - first + 1, last + 1 - near[1]), (0, 0)), mode="edge")
        slopes = (scaled[2:] - scaled[:-2]) / np.float32(2)
        both = np.concatenate((scaled[1:-1], slopes), axis=1)
        stacked: Array = both.reshape(-1, 2 * both.shape[1])
        return stacked
