"""Where nobody speaks for certain, so that the acoustic model need not hear it.

Two questions are asked. What is far below the loudness of the file is quiet; silero-vad, a small network that tells speech from
other sounds, is asked about quiet stretches only. So music and singing are heard as before, whatever silero-vad says of them, and
a recording without pauses costs no more than a look at its loudness.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import torch

from tasks.arrays import Array
from tasks.records import Audio
from tasks.speech.features import SAMPLE_RATE, read_window

FRAME = SAMPLE_RATE // 10  # samples whose loudness is looked at together
BELOW_DB = 25.0  # what is quiet, against the loudest twentieth of the file
NOTHING_DB = -80.0  # and what is in any file: the last bits of a sample
SHORTEST_S = 4.0  # of a stretch worth leaving out
MARGIN_S = 0.5  # of it that is heard all the same, on either side
SURE = 0.1  # the highest probability of speech in a stretch without any
CHUNK = 512  # samples that silero-vad takes at a time
PIECE = 256 * CHUNK  # of a stretch that is judged as one (8 s)
AT_ONCE = 64  # pieces in a batch
SIXTY_S = 60 * SAMPLE_RATE


def silent(audio: Audio) -> list[tuple[int, int]]:
    """Stretches of a file in which nobody speaks, as (first sample, sample after the last), in order."""
    candidates = [
        (at, min(at + PIECE, end))
        for first, last in quiet(loudness(audio), shortest=round(SHORTEST_S * SAMPLE_RATE / FRAME))
        for start, end in [_without_margins(first * FRAME, last * FRAME, audio.samples)]
        for at in range(start, end, PIECE)
    ]
    sure = [piece for piece, speech in zip(candidates, likeliest(audio, candidates), strict=True) if speech < SURE]
    return [(a, b) for a, b in joined(sure) if b - a >= round((SHORTEST_S - 2 * MARGIN_S) * SAMPLE_RATE)]


def _without_margins(start: int, end: int, samples: int) -> tuple[int, int]:
    margin = round(MARGIN_S * SAMPLE_RATE)
    return start + margin if start else 0, end - margin if end < samples else samples


def loudness(audio: Audio) -> Array:
    """Level of each tenth of a second in dB, shape (frames,); the last one is of what is left."""
    levels = []
    for start in range(0, audio.samples, SIXTY_S):
        wave = read_window(audio, start, min(SIXTY_S, audio.samples - start))
        power = np.add.reduceat(wave.astype(np.float64) ** 2, range(0, len(wave), FRAME)) / FRAME
        levels.append(10 * np.log10(power + 1e-12))
    return np.concatenate(levels) if levels else np.zeros(0)


def quiet(levels: Array, *, shortest: int) -> Iterator[tuple[int, int]]:
    """Runs of at least `shortest` frames that are far below the loudest ones, or nothing at all, as (first, after the last)."""
    if not len(levels):
        return
    low = levels < max(np.percentile(levels, 95) - BELOW_DB, NOTHING_DB)
    edges = np.flatnonzero(np.diff(np.concatenate(([False], low, [False]))))
    yield from ((int(a), int(b)) for a, b in edges.reshape(-1, 2) if b - a >= shortest)


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
