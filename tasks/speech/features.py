"""What a model is given of a stretch of audio: samples, or mel features; normalised once over the whole file.

A model that normalises each input would hear the same word differently in every window it falls into. Mel features of windows
are those that the whole file would have there: tasks/speech/mel.py has the families that pad what they are given.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from tasks.arrays import Array
from tasks.records import Audio

SAMPLE_RATE = 16_000
CHUNK_S = 60


class Inputs(Protocol):
    """What a model takes. `unit` is the samples from one input to the next, `reach` the samples that make the first."""

    unit: int
    reach: int

    def window(self, audio: Audio, start: int, samples: int) -> Array:
        """The inputs of `samples` samples from `start` on, a multiple of `unit`: (inputs,) or (inputs, features), float32."""
        ...


def read_window(audio: Audio, start: int, samples: int) -> Array:
    """Samples `start` to `start + samples` of a scratch file, float32 in -1 to 1."""
    pcm = np.fromfile(audio.path, np.int16, count=samples, offset=start * 2)
    return pcm.astype(np.float32) / np.float32(32768)


class Waveforms:
    """For models on samples (wav2vec2, HuBERT, WavLM, ...): zero mean and unit variance over the file where they want it."""

    unit = reach = 1

    def __init__(self, normalises: bool) -> None:
        self.normalises = normalises

    def window(self, audio: Audio, start: int, samples: int) -> Array:
        """Shape (samples,), float32."""
        wave = read_window(audio, start, samples)
        if self.normalises:
            wave = (wave - np.float32(audio.mean)) / np.float32(np.sqrt(audio.deviation**2 + 1e-7))
        return wave


class Unpadded:
    """For LASR: log-mel frames of 25 ms every 10 ms, not normalised; the extractor pads nothing."""

    def __init__(self, extractor: Any) -> None:
        self.extractor = extractor
        self.unit, self.reach = int(extractor.hop_length), int(extractor.win_length)

    def window(self, audio: Audio, start: int, samples: int) -> Array:
        """Shape (frames, bins), float32."""
        made = self.extractor(read_window(audio, start, samples), sampling_rate=SAMPLE_RATE, return_tensors="np")
        features: Array = made["input_features"][0].astype(np.float32)
        return features


class Stacked:
    """For Wav2Vec2-BERT: each mel bin to zero mean and unit variance over the file.

    The extractor computes 25 ms frames every 10 ms and stacks two of them, as a rule: 560 samples for the first, 320 for each more.
    """

    FLOOR = float(np.log(2.0**-23))  # of its spectrum, where there is nothing at all

    def __init__(self, extractor: Any) -> None:
        self.extractor = extractor
        self.stacked = int(getattr(extractor, "stride", 2))
        self.unit = 160 * self.stacked
        self.reach = 400 + 160 * (self.stacked - 1)
        self._statistics: tuple[Audio, Array, Array] | None = None

    def window(self, audio: Audio, start: int, samples: int) -> Array:
        """Shape (frames, bins * stacked), float32."""
        mean, deviation = self._of(audio)
        return (self._raw(read_window(audio, start, samples)) - mean) / deviation

    def _raw(self, wave: Array) -> Array:
        made = self.extractor(
            wave, sampling_rate=SAMPLE_RATE, do_normalize_per_mel_bins=False, padding=False, return_tensors="np"
        )
        features: Array = made["input_features"][0].astype(np.float32)
        return features

    def _of(self, audio: Audio) -> tuple[Array, Array]:
        """Mean and deviation of every bin, from one pass over the file; windows of a file come one after the other."""
        if self._statistics is None or self._statistics[0] != audio:
            moments = Moments(self.FLOOR)
            size = CHUNK_S * SAMPLE_RATE
            for start in range(0, max(1, audio.samples - self.reach), size):
                wave = read_window(audio, start, min(size + self.reach - self.unit, audio.samples - start))
                if len(wave) < self.reach:
                    break
                raw = self._raw(wave)
                moments.add(raw.reshape(len(raw) * self.stacked, -1))
            mean, deviation = moments.of_bins(epsilon_in_root=1e-7)
            self._statistics = (audio, np.tile(mean, self.stacked), np.tile(deviation, self.stacked))
        return self._statistics[1], self._statistics[2]


class Moments:
    """Mean and deviation of each bin over frames that come piece by piece.

    Frames of which every bin is at the `floor`, of samples that are all zero, do not count: they are between recordings, and not
    in them. Of nothing else, mean and deviation are 0 and 1.
    """

    def __init__(self, floor: float) -> None:
        self.floor = floor
        self.count = 0
        self.total: Array = np.zeros(1)
        self.square: Array = np.zeros(1)

    def add(self, frames: Array) -> None:
        """(frames, bins)"""
        bins = frames[(frames > self.floor + 1e-3).any(axis=1)].astype(np.float64)
        self.count += len(bins)
        self.total = self.total + bins.sum(0)
        self.square = self.square + (bins**2).sum(0)

    def of_bins(self, *, epsilon_in_root: float = 0.0) -> tuple[Array, Array]:
        """Mean and deviation (of one frame fewer than there are), each (bins,) float32."""
        if not self.count:
            return np.zeros_like(self.total, np.float32), np.ones_like(self.total, np.float32)
        mean = self.total / self.count
        variance = np.maximum(self.square - self.count * mean**2, 0) / max(1, self.count - 1)
        return mean.astype(np.float32), np.sqrt(variance + epsilon_in_root).astype(np.float32)
