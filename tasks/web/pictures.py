"""Pictures of a video: a frame at a moment, and the loudness of its sound as a waveform."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tasks.arrays import Array
from tasks.errors import CorruptMedia, MediaTooLong
from tasks.media import explain, input_arguments, pcm_stream, probe
from tasks.media.pcm import pcm_chunks
from tasks.media.process import Tool
from tasks.settings import Settings
from tasks.web.cache import FolderCache
from tasks.web.media import Original, local_file

FRAME_WIDTH = 320
FRAME_LIMIT_S = 20.0
FRAME_BYTES = 1 << 20
PEAKS = 1000
WAVEFORM_HEIGHT = 100
WAVEFORM_SPEED = 20  # times real time that a waveform is given, at least


def frame(original: Original, at_ms: int, cache: FolderCache, fetched: FolderCache, settings: Settings) -> Path:
    """A JPEG, 320 pixels wide, of the frame at a second of a video. Behind its end, of its first frame.

    Raises:
        CorruptMedia and its like: no frame can be decoded.
    """
    second = max(0, at_ms) // 1000

    def make(target: Path) -> None:
        path = local_file(original, fetched, settings, most_mb=settings.web_picture_mb)
        target.write_bytes(_frame(path, second, settings) or _frame(path, 0, settings) or b"")
        if not target.stat().st_size:
            raise CorruptMedia("No picture can be taken from it.")

    return cache.get(f"{original.name}-{second}.jpg", make)


def _frame(path: Path, second: int, settings: Settings) -> bytes:
    command = [
        "ffmpeg", "-v", "error", "-nostdin", "-threads", "1", "-ss", str(second), *input_arguments(), "-i", f"file:{path}",
        "-map", "0:V:0", "-frames:v", "1", "-vf", f"scale={FRAME_WIDTH}:-2", "-q:v", "5", "-f", "mjpeg", "pipe:1",
    ]  # fmt: skip
    picture = bytearray()
    with Tool(command, memory_mb=settings.media_memory_mb) as tool:
        for data in tool.output(stall_s=FRAME_LIMIT_S, limit_s=FRAME_LIMIT_S):
            picture += data
            if len(picture) > FRAME_BYTES:
                return b""
        if tool.failed:
            raise explain(tool.said, path)
    return bytes(picture)


def waveform(
    original: Original, track: int | None, cache: FolderCache, fetched: FolderCache, settings: Settings
) -> Path:
    """An SVG of the loudness of a track over its whole length, 1000 by 100 units.

    Raises:
        CorruptMedia and its like: it cannot be decoded. MediaTooLong: longer than `web_copy_hours`.
    """

    def make(target: Path) -> None:
        path = local_file(original, fetched, settings, most_mb=settings.web_picture_mb)
        target.write_text(_drawn(_peaks(path, track or 0, settings)), encoding="utf-8")

    return cache.get(f"{original.name}-{track or 0}.svg", make)


def _peaks(path: Path, position: int, settings: Settings) -> Array:
    """The largest deflection in each of `PEAKS` equal parts, 0 to 1."""
    probed = probe(path, settings)
    track = next((track for track in probed.tracks if track.position == position), None)
    if track is None or not probed.duration_ms:
        raise CorruptMedia("It has no sound.")
    length_s = probed.duration_ms / 1000
    if length_s > settings.web_copy_hours * 3600:
        raise MediaTooLong(f"It is longer than {settings.web_copy_hours:g} hours.")
    per_peak = max(1, int(length_s * 16_000 / PEAKS))
    peaks, rest = [], np.zeros(0, np.int16)
    command = pcm_stream(path, track, length_s=length_s).compile()
    limit_s = 30 + length_s / WAVEFORM_SPEED
    with Tool(command, memory_mb=settings.media_memory_mb) as tool:
        for pcm in pcm_chunks(tool, stall_s=settings.audio_stall_s, limit_s=limit_s):
            samples = np.concatenate([rest, pcm])
            whole = len(samples) // per_peak * per_peak
            peaks.append(np.abs(samples[:whole].astype(np.int32)).reshape(-1, per_peak).max(axis=1))
            rest = samples[whole:]
    loud: Array = np.concatenate(peaks)[:PEAKS] if peaks else np.zeros(0)
    return loud / 32768


def _drawn(peaks: Array) -> str:
    half = WAVEFORM_HEIGHT / 2
    bars = "".join(f"M{n} {half - 48 * peak:.1f}V{half + 48 * peak:.1f}" for n, peak in enumerate(peaks))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {PEAKS} {WAVEFORM_HEIGHT}" preserveAspectRatio="none">'
        f'<path d="M0 {half}H{PEAKS}{bars}" stroke="#7c8aa0" stroke-width="1" fill="none"/></svg>'
    )
