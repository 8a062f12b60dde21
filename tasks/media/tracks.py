"""Which audio track is the speech: by language tag, else by a short listen."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from tasks.arrays import Array
from tasks.errors import StageTimeout, UnsupportedMedia
from tasks.media.pcm import SAMPLE_RATE, SILENCE, pcm_chunks, pcm_stream
from tasks.media.process import Tool
from tasks.records import AudioTrack
from tasks.settings import Settings

LISTEN_S = 120.0


def choose_track(path: Path, tracks: Sequence[AudioTrack], settings: Settings) -> AudioTrack:
    """The track with speech: the one asked for, else by language tag, else by a short listen to each.

    A commentary or a description for the blind is taken only when there is nothing else.
    """
    if settings.audio_track is not None:
        for track in tracks:
            if track.position == settings.audio_track:
                return track
        raise UnsupportedMedia(f"It has no audio track {settings.audio_track}.", reason="unsupported_codec")
    usable = [t for t in tracks if not t.comment] or list(tracks)
    if settings.language:
        wanted = [t for t in usable if t.language and same_language(t.language, settings.language)]
        usable = wanted or usable
    if len(usable) == 1:
        return usable[0]
    scores = {track: speech_likeness(_listen(path, track, settings)) for track in usable[:8]}
    best = max(scores.values())
    close = [track for track in usable if scores.get(track, -1.0) >= best - 0.05]
    return next((t for t in close if t.default), close[0])


def same_language(a: str, b: str) -> bool:
    """`eng`, `en` and `en-GB` are one language here."""
    long = {
        "eng": "en",
        "fra": "fr",
        "fre": "fr",
        "deu": "de",
        "ger": "de",
        "spa": "es",
        "ron": "ro",
        "rum": "ro",
        "fas": "fa",
        "per": "fa",
    }
    short = [long.get(x.lower().split("-")[0].split("_")[0], x.lower().split("-")[0].split("_")[0]) for x in (a, b)]
    return short[0] == short[1]


def _listen(path: Path, track: AudioTrack, settings: Settings) -> Array:
    """The first two minutes, or what there is: titles and music often come before the speech."""
    heard = [np.zeros(0, np.int16)]
    with (
        contextlib.suppress(StageTimeout),
        Tool(pcm_stream(path, track, length_s=LISTEN_S).compile(), memory_mb=settings.media_memory_mb) as tool,
    ):
        heard += pcm_chunks(tool, stall_s=settings.audio_stall_s)
    return np.concatenate(heard)


def speech_likeness(pcm: Array) -> float:
    """How much a recording sounds like speech, 0 to 1: the share of its loudness that changes 2 to 8 times a second.

    Syllables come at about 4 Hz; music, sea and rain do not. After Scheirer & Slaney, "Construction and evaluation of
    a robust multifeature speech/music discriminator" (1997), the 4 Hz modulation energy.
    """
    frame = SAMPLE_RATE // 100
    n = len(pcm) // frame
    if n < 100:
        return 0.0
    blocks = pcm[: n * frame].reshape(n, frame).astype(np.float32)
    level = np.sqrt((np.diff(blocks, axis=1) ** 2).mean(axis=1))  # differences: rumble counts little
    if level.max() < SILENCE / 4:
        return 0.0
    loud = np.log(level + 1.0)
    spectrum = np.abs(np.fft.rfft((loud - loud.mean()) * np.hanning(n))) ** 2
    rates = np.fft.rfftfreq(n, 0.01)
    band = spectrum[(rates >= 2) & (rates <= 8)].sum()
    share = float(band / (spectrum[rates >= 0.2].sum() + 1e-9))
    depth = float(np.percentile(loud, 90) - np.percentile(loud, 10))  # steady noise has hardly any
    return share * min(1.0, depth / 2.0)
