"""The ffmpeg command that makes 16 kHz mono PCM of one track, and its output as a stream."""

from __future__ import annotations

import os
import selectors
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ffmpeg

from tasks.errors import StageTimeout
from tasks.media.probe import input_options
from tasks.records import AudioTrack

SAMPLE_RATE = 16_000
SILENCE = 33  # int16 steps: -60 dB of full scale
SAID_BYTES = 64 << 10  # of ffmpeg's messages


def pcm_stream(path: Path, track: AudioTrack, *, start_s: float, length_s: float | None, out: str = "pipe:") -> Any:
    """An ffmpeg-python stream that makes 16 kHz mono PCM of one track."""
    options: dict[str, Any] = dict(input_options())
    if start_s:
        options["ss"] = start_s
    audio = ffmpeg.input(f"file:{path}", **options)[f"a:{track.position}"]
    if track.layout.startswith(("5.", "6.", "7.")):
        # Speech is in the centre, which ffmpeg's own downmix makes one voice of many.
        audio = audio.filter_("pan", args="mono|c0=FC+0.3*FL+0.3*FR")
    audio = audio.filter_("aresample", SAMPLE_RATE, **{"async": 1, "first_pts": 0})
    limits: dict[str, Any] = {"t": length_s} if length_s else {}
    return ffmpeg.output(audio, out, format="s16le", acodec="pcm_s16le", ac=1, ar=SAMPLE_RATE, **limits).global_args(
        "-v", "error", "-nostdin", "-hide_banner"
    )


def chunks(process: subprocess.Popen[bytes], stall_s: float, said: bytearray, size: int = 1 << 20) -> Iterator[bytes]:
    """Whole samples from a process's output; StageTimeout when it is silent for `stall_s`.

    Its errors are read meanwhile (a full pipe would stop it); their last 64 kB come into `said`.
    """
    assert process.stdout is not None
    assert process.stderr is not None
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        selector.register(process.stderr, selectors.EVENT_READ)
        last = time.monotonic()
        while selector.get_map():
            for ready, _ in selector.select(timeout=1.0):
                data = os.read(ready.fd, size)
                if not data:
                    selector.unregister(ready.fileobj)
                elif ready.fileobj is process.stderr:
                    said += data
                    del said[:-SAID_BYTES]
                else:
                    data = rest + data
                    rest = data[len(data) & ~1 :]
                    yield data[: len(data) & ~1]
                    last = time.monotonic()
            if time.monotonic() - last > stall_s:
                process.kill()
                raise StageTimeout(f"ffmpeg gave no sound for {stall_s:g} s and was stopped.")
