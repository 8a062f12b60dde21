"""Changes to a waveform that keep its words: speed, noise, room echo, gain.

All take and return float32 samples at 16 kHz and draw from the generator they are given, so that one seed makes one
clip, in any process and after any restart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.fft import next_fast_len

from tasks.arrays import Array

SAMPLE_RATE = 16_000


@dataclass(frozen=True)
class Augmentation:
    """How often, and how strongly, a training clip is changed (probabilities; ranges are uniform).

    `nothing` is the share of clips that become noise alone, with an empty text: a model that never heard any takes
    traffic for words.
    """

    speed: float = 0.5
    speed_range: tuple[float, float] = (0.9, 1.1)
    noise: float = 0.4
    snr_db: tuple[float, float] = (5.0, 30.0)
    echo: float = 0.2
    echo_s: tuple[float, float] = (0.1, 0.6)
    gain_db: tuple[float, float] = (-8.0, 8.0)
    nothing: float = 0.02


def change_speed(audio: Array, factor: float) -> Array:
    """Play `factor` times as fast, pitch and all (Ko et al., "Audio augmentation for speech recognition", 2015)."""
    positions = np.arange(0, len(audio) - 1, factor, dtype=np.float64)
    return np.interp(positions, np.arange(len(audio)), audio).astype(np.float32)


def coloured_noise(n: int, rng: np.random.Generator) -> Array:
    """`n` samples of unit power whose spectrum falls as 1/f^a, a between 0 (white) and 2 (rumble)."""
    size = next_fast_len(n, real=True)  # as the length is drawn, it may be a prime, which takes long
    spectrum = np.fft.rfft(rng.standard_normal(size))
    slope = rng.uniform(0.0, 1.0)
    spectrum *= np.maximum(np.arange(len(spectrum)), 1.0) ** -slope
    noise = np.fft.irfft(spectrum, size)[:n]
    unit: Array = noise / (np.sqrt(np.mean(noise**2)) + 1e-12)
    return unit.astype(np.float32)


def any_noise(n: int, rng: np.random.Generator, recorded: Sequence[Array] = ()) -> Array:
    """`n` samples of unit power: mostly of a recording where there are any, else coloured."""
    if not recorded or rng.random() >= 0.7:
        return coloured_noise(n, rng)
    source = recorded[int(rng.integers(len(recorded)))].astype(np.float32)
    noise = np.resize(np.roll(source, -int(rng.integers(len(source)))), n)
    unit: Array = noise / (np.sqrt(np.mean(noise**2)) + 1e-9)
    return unit


def add_noise(audio: Array, snr_db: float, rng: np.random.Generator, recorded: Sequence[Array] = ()) -> Array:
    """Mix in noise at `snr_db` below the clip's mean power."""
    noise = any_noise(len(audio), rng, recorded)
    level = np.sqrt(np.mean(audio**2) + 1e-12) * 10 ** (-snr_db / 20)
    mixed: Array = audio + level * noise
    return mixed.astype(np.float32)


def add_echo(audio: Array, reverberation_s: float, rng: np.random.Generator) -> Array:
    """Convolve with a made-up room: a direct path, then noise that falls by 60 dB in `reverberation_s` seconds."""
    n = max(2, int(reverberation_s * SAMPLE_RATE))
    response = rng.standard_normal(n) * 10 ** (-3 * np.arange(n) / n) * rng.uniform(0.02, 0.12)
    response[: int(0.002 * SAMPLE_RATE)] = 0
    response[0] = 1.0
    size = 1 << (len(audio) + n - 1).bit_length()
    wet = np.fft.irfft(np.fft.rfft(audio, size) * np.fft.rfft(response, size), size)[: len(audio)]
    return wet.astype(np.float32)


def augment(audio: Array, options: Augmentation, rng: np.random.Generator, recorded: Sequence[Array] = ()) -> Array:
    """Apply speed, echo and noise, each by its probability, in the order a microphone would see them."""
    if rng.random() < options.speed:
        audio = change_speed(audio, rng.uniform(*options.speed_range))
    if rng.random() < options.echo:
        audio = add_echo(audio, rng.uniform(*options.echo_s), rng)
    if rng.random() < options.noise:
        audio = add_noise(audio, rng.uniform(*options.snr_db), rng, recorded)
    return audio
