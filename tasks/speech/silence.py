"""Where nobody speaks for certain, so that the acoustic model need not hear it.

Three questions are asked, the cheap one first. What is far below the loudness of the file is quiet. Of what is quiet, anything with
a tone in it is heard: singing and music in a quiet passage are not for a detector of speech to judge. Of the rest silero-vad, a
small network that tells speech from other sounds, must be sure. A recording without pauses costs no more than a look at its
loudness.
"""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import torch

from tasks.arrays import Array
from tasks.records import Audio
from tasks.speech.features import CHUNK_S, SAMPLE_RATE, read_window

FRAME = SAMPLE_RATE // 10  # samples whose loudness is looked at together
BELOW_DB = 25.0  # what is quiet, against the loudest second of the file
NOTHING_DB = -80.0  # and what is in any file: the last bits of a sample
SHORTEST_S = 4.0  # of a stretch worth leaving out
MARGIN_S = 0.5  # of it that is heard all the same, on either side
SURE = 0.2  # the highest probability of speech in a stretch without any; white noise has up to 0.12
CHUNK = 512  # samples that silero-vad takes at a time
PIECE = 128 * CHUNK  # the longest stretch that is judged as one (4 s)
AT_ONCE = 64  # pieces in a batch
FFT = 1024  # samples whose frequencies are looked at together
ASKING = threading.Lock()
BANDS = slice(16, 16 + 8 * 28)  # 250 Hz to 3.75 kHz, in eight
Silence = list[tuple[int, int]]  # stretches, as (first sample, sample after the last), in order
FLAT = 0.4  # the least flatness of noise in any band: white noise has 0.56, brown 0.5, singing and bells 0.1


def silent(audio: Audio) -> Silence:
    """Where nobody speaks in a file. May be called from several threads."""
    pieces = [
        piece
        for first, last in quiet(loudness(audio), shortest=round(SHORTEST_S * SAMPLE_RATE / FRAME))
        for piece in evenly(first * FRAME, min(last * FRAME, audio.samples))
    ]
    plain = [piece for piece in pieces if not has_tone(read_window(audio, piece[0], piece[1] - piece[0]))]
    sure = [piece for piece, speech in zip(plain, likeliest(audio, plain), strict=True) if speech < SURE]
    margin = round(MARGIN_S * SAMPLE_RATE)
    # What is beside may be speech: of a sound that grew out of silence, a detector hears the beginning last.
    inner = [(a + margin if a else 0, b - margin if b < audio.samples else b) for a, b in joined(sure)]
    return [(a, b) for a, b in inner if b - a >= round(SHORTEST_S * SAMPLE_RATE) - 2 * margin]


def loudness(audio: Audio) -> Array:
    """Level of each tenth of a second in dB, shape (frames,); the last one is of what is left."""
    levels = []
    size = CHUNK_S * SAMPLE_RATE
    for start in range(0, audio.samples, size):
        wave = read_window(audio, start, min(size, audio.samples - start))
        power = np.add.reduceat(wave.astype(np.float64) ** 2, range(0, len(wave), FRAME)) / FRAME
        levels.append(10 * np.log10(power + 1e-12))
    return np.concatenate(levels) if levels else np.zeros(0)


def quiet(levels: Array, *, shortest: int) -> Iterator[tuple[int, int]]:
    """Runs of at least `shortest` frames that are far below the loudest second, or nothing at all, as (first, after the last)."""
    if not len(levels):
        return
    seconds = np.convolve(levels, np.ones(10) / 10, "valid") if len(levels) >= 10 else levels
    low = levels < max(seconds.max() - BELOW_DB, NOTHING_DB)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], low, [False]))))
    yield from ((int(a), int(b)) for a, b in edges.reshape(-1, 2) if b - a >= shortest)


def evenly(start: int, end: int) -> list[tuple[int, int]]:
    """A stretch as pieces of about the same length, none longer than `PIECE`."""
    edges = np.linspace(start, end, math.ceil((end - start) / PIECE) + 1).round().astype(int).tolist()
    return list(pairwise(edges))


def has_tone(wave: Array) -> bool:
    """Whether there is something in a band of frequencies that sounds, and does not only rustle.

    Spectral flatness: the geometric by the arithmetic mean of the power (Gray and Markel, 1974), of each band over time.
    """
    if len(wave) < FFT or not wave.any():
        return False
    sound = torch.from_numpy(wave)
    spectrum = torch.stft(sound, FFT, FFT, window=torch.hann_window(FFT), center=False, return_complex=True)
    power = spectrum[BANDS].abs().square().double().reshape(8, -1, spectrum.shape[1]) + 1e-15
    flatness = power.log().mean(1).exp() / power.mean(1)
    return bool(flatness.mean(1).min() < FLAT)


def likeliest(audio: Audio, stretches: list[tuple[int, int]]) -> Iterator[float]:
    """The highest probability of speech in each stretch of at most `PIECE` samples, by silero-vad."""
    for at in range(0, len(stretches), AT_ONCE):
        group = stretches[at : at + AT_ONCE]
        longest = max(end - start for start, end in group)
        waves = np.zeros((len(group), -(-longest // CHUNK) * CHUNK), np.float32)
        for row, (start, end) in zip(waves, group, strict=True):
            row[: end - start] = read_window(audio, start, end - start)
        yield from _probabilities(torch.from_numpy(waves)).max(axis=1).tolist()


@torch.inference_mode()
def _probabilities(waves: torch.Tensor) -> Array:
    """Of speech in each chunk, shape (stretches, chunks)."""
    with ASKING:  # it remembers what it heard last
        detector = _detector()
        detector.reset_states()
        heard = [detector(chunk, SAMPLE_RATE)[:, 0] for chunk in torch.split(waves, CHUNK, dim=1)]
    found: Array = torch.stack(heard, dim=1).numpy()
    return found


@cache
def _detector() -> Any:
    threads = torch.get_num_threads()
    from silero_vad import load_silero_vad

    torch.set_num_threads(threads)  # its import takes all of torch to one thread
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of TorchScript, in which it comes
        return load_silero_vad()


def joined(stretches: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Stretches in order, those that touch as one."""
    held: tuple[int, int] | None = None
    for start, end in stretches:
        if held is not None and start <= held[1]:
            held = held[0], max(held[1], end)
            continue
        if held is not None:
            yield held
        held = start, end
    if held is not None:
        yield held
