"""The ffmpeg command that makes 16 kHz mono PCM of one track, and its output as a stream."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ffmpeg
import numpy as np

from tasks.arrays import Array
from tasks.media.probe import input_options
from tasks.media.process import Tool
from tasks.records import AudioTrack

SAMPLE_RATE = 16_000
SILENCE = 33  # int16 steps: -60 dB of full scale


def pcm_stream(path: Path, track: AudioTrack, *, length_s: float) -> Any:
    """An ffmpeg-python stream that writes the first `length_s` seconds of a track as 16 kHz mono PCM to its stdout."""
    audio = ffmpeg.input(f"file:{path}", **input_options())[f"a:{track.position}"]
    if track.layout.startswith(("5.", "6.", "7.")):
        # Speech is in the centre, which ffmpeg's own downmix makes one voice of many.
        audio = audio.filter_("pan", args="mono|c0=FC+0.3*FL+0.3*FR")
    audio = audio.filter_("aresample", SAMPLE_RATE, **{"async": 1, "first_pts": 0})
    made = ffmpeg.output(audio, "pipe:", format="s16le", acodec="pcm_s16le", ac=1, ar=SAMPLE_RATE, t=length_s)
    return made.global_args("-v", "error", "-nostdin", "-hide_banner")


def pcm_chunks(tool: Tool, *, stall_s: float, limit_s: float | None = None) -> Iterator[Array]:
    """The samples (int16) that a command of `pcm_stream` writes."""
    rest = b""
    for data in tool.output(stall_s=stall_s, limit_s=limit_s):
        data = rest + data
        rest = data[len(data) & ~1 :]
        yield np.frombuffer(data[: len(data) & ~1], np.int16)
