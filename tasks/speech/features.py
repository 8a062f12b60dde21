"""What a model is given of a stretch of audio: samples, or mel features; normalised once over the whole file.

A model that normalises each input would hear the same word differently in every window it falls into.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tasks.arrays import Array
from tasks.records import Audio

SAMPLE_RATE = 16_000
CHUNK_S = 60


def read_window(audio: Audio, start: int, samples: int) -> Array:
    """Samples `start` to `start + samples` of a scratch file, float32 in -1 to 1."""
    pcm = np.fromfile(audio.path, np.int16, count=samples, offset=start * 2)
    return pcm.astype(np.float32) / np.float32(32768)


class Waveforms:
    """For models on samples (wav2vec2, HuBERT, WavLM, ...): zero mean and unit variance over the file where they want it."""

    def __init__(self, normalises: bool) -> None:
        self.normalises = normalises

    def window(self, audio: Audio, start: int, samples: int) -> Array:
        """Shape (samples,), float32."""
        wave = read_window(audio, start, samples)
        if self.normalises:
            wave = (wave - np.float32(audio.mean)) / np.float32(np.sqrt(audio.deviation**2 + 1e-7))
        return wave


class MelFeatures:
    """For models on log-mel features (Wav2Vec2-BERT): each mel bin to zero mean and unit variance over the file.

    The extractor computes 25 ms frames every 10 ms and stacks two of them: 560 samples for the first, 320 for each more.
    """

    def __init__(self, extractor: Any) -> None:
        self.extractor = extractor
        self.stacked = int(getattr(extractor, "stride", 2))
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
            total = square = np.zeros(0)
            count = 0
            size = CHUNK_S * SAMPLE_RATE
            for start in range(0, max(1, audio.samples - 560), size):
                wave = read_window(audio, start, min(size + 240, audio.samples - start))
                if len(wave) < 560:
                    break
                raw = self._raw(wave)
                bins = raw.reshape(len(raw) * self.stacked, -1).astype(np.float64)
                total = bins.sum(0) + (total if count else 0)
                square = (bins**2).sum(0) + (square if count else 0)
                count += len(bins)
            mean = total / count
            deviation = np.sqrt(np.maximum(square - count * mean**2, 0) / max(1, count - 1) + 1e-7)
            tiled = (
                np.tile(mean, self.stacked).astype(np.float32),
                np.tile(deviation, self.stacked).astype(np.float32),
            )
            self._statistics = (audio, *tiled)
        return self._statistics[1], self._statistics[2]


class LogMel:
    """For Whisper's encoder: log-mel frames, cut so far below the loudest moment of the file (`LogMelExtractor`)."""

    def __init__(self, extractor: Any) -> None:
        self.extractor = extractor
        self._loudest: tuple[Audio, float] | None = None

    def window(self, audio: Audio, start: int, samples: int) -> Array:
        """Shape (frames, bins), float32: those that the whole file would have there."""
        loudest = self._of(audio)
        scaled: Array = self.extractor.scaled(self._power(audio, start, samples), loudest)
        return scaled

    def _power(self, audio: Audio, start: int, samples: int) -> Array:
        half = self.extractor.n_fft // 2
        first, last = max(0, start - half), min(audio.samples, start + samples + half)
        wave = read_window(audio, first, last - first)
        missing = (first - (start - half), start + samples + half - last)
        if any(missing):  # at the ends of the file it is mirrored
            wave = np.pad(wave, missing, mode="reflect")
        power: Array = self.extractor.power(wave, whole=False)
        return power

    def _of(self, audio: Audio) -> float:
        """The loudest moment of the file, from one pass over it; windows of a file come one after the other."""
        if self._loudest is None or self._loudest[0] != audio:
            size, hop = CHUNK_S * SAMPLE_RATE, self.extractor.hop_length
            starts = range(0, audio.samples - hop + 1, size)
            found = (self._power(audio, at, min(size, (audio.samples - at) // hop * hop)) for at in starts)
            self._loudest = (audio, max(float(power.max()) for power in found))
        return self._loudest[1]
