"""A short listen to a track: excerpts of all its channels from several places, and how much a sound is like speech."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tasks.arrays import Array
from tasks.errors import StageTimeout
from tasks.media.pcm import SAMPLE_RATE, excerpt_command
from tasks.media.process import Tool
from tasks.records import SILENCE, AudioTrack, Probe
from tasks.settings import Settings

PLACES = 6
EXCERPT_S = 20.0
FRAMES_A_SECOND = 100
QUIET = 0.02  # of the loud moments


def excerpts(path: Path, probed: Probe, track: AudioTrack, settings: Settings) -> list[Array]:
    """Pieces of a track, int16 of shape (samples, channels): titles, tones and black leaders may come before the speech.

    A recording that is not much longer than all of them is heard whole, one of unknown length at its beginning.
    """
    whole_s = PLACES * EXCERPT_S
    length_s = (track.duration_ms or probed.duration_ms or 0) / 1000
    if length_s <= 1.25 * whole_s:
        heard = [_excerpt(path, probed, track, settings, 0.0, 1.25 * whole_s)]
    else:
        step = length_s / PLACES
        begins_s = (track.starts_ms - probed.starts_ms) / 1000  # as ffmpeg counts, from the first stream
        starts = [begins_s + (n + 0.5) * step - EXCERPT_S / 2 for n in range(PLACES)]
        heard = [_excerpt(path, probed, track, settings, start, EXCERPT_S) for start in starts]
    return [piece for piece in heard if len(piece)]


def _excerpt(
    path: Path, probed: Probe, track: AudioTrack, settings: Settings, start_s: float, length_s: float
) -> Array:
    heard = bytearray()
    command = excerpt_command(path, probed, track, start_s=start_s, length_s=length_s)
    with contextlib.suppress(StageTimeout), Tool(command, memory_mb=settings.media_memory_mb) as tool:
        for data in tool.output(stall_s=settings.audio_stall_s, limit_s=settings.audio_stall_s):
            heard += data
    channels = max(1, track.channels)
    whole = len(heard) - len(heard) % (2 * channels)
    return np.frombuffer(bytes(heard[:whole]), np.int16).reshape(-1, channels)


def likeness(pieces: Sequence[Array]) -> float:
    """How much the better half of some pieces of one channel is like speech: the rest may be titles and music."""
    scores = sorted((speech_likeness(piece) for piece in pieces), reverse=True)
    best = scores[: (len(scores) + 1) // 2]
    return sum(best) / len(best) if best else 0.0


def loudness(pcm: Array) -> Array:
    """Level of each hundredth of a second. Of the differences between samples, in which rumble and hum count little."""
    frame = SAMPLE_RATE // FRAMES_A_SECOND
    n = len(pcm) // frame
    blocks = pcm[: n * frame].reshape(n, frame).astype(np.float32)
    level: Array = np.sqrt((np.diff(blocks, axis=1) ** 2).mean(axis=1)) if n else np.zeros(0, np.float32)
    return level


def speech_likeness(pcm: Array) -> float:
    """How much a recording sounds like speech, 0 to 1: the share of its loudness that changes 2 to 8 times a second.

    Syllables come at about 4 Hz; music, sea and rain do not. After Scheirer & Slaney, "Construction and evaluation of
    a robust multifeature speech/music discriminator" (1997), the 4 Hz modulation energy.
    """
    level = loudness(pcm)
    n = len(level)
    if n < FRAMES_A_SECOND or level.max() < SILENCE / 4:
        return 0.0
    loud = np.log(level + QUIET * np.percentile(level, 95) + 1.0)  # what happens in the pauses counts little
    spectrum = np.abs(np.fft.rfft((loud - loud.mean()) * np.hanning(n))) ** 2
    rates = np.fft.rfftfreq(n, 1 / FRAMES_A_SECOND)
    band = spectrum[(rates >= 2) & (rates <= 8)].sum()
    share = float(band / (spectrum[rates >= 0.2].sum() + 1e-9))
    depth = float(np.percentile(loud, 90) - np.percentile(loud, 10))  # steady noise has hardly any
    return share * min(1.0, depth / 2.0)
