"""Pictures of a video: a frame at a moment, and the loudness of its sound as a waveform."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tasks.arrays import Array
from tasks.errors import CorruptMedia, MediaTooLong, StageTimeout
from tasks.media import Sound, explain, input_arguments, probe
from tasks.media.clock import JUMPING, family, read_beside, reading, seek_s
from tasks.media.parts import Stretch, even_pictures, parts_of
from tasks.media.process import Tool
from tasks.media.tracks import whole_track
from tasks.records import AudioTrack, Probe
from tasks.settings import Settings
from tasks.web.cache import FolderCache
from tasks.web.copies import copy_name
from tasks.web.media import Original, local_file

FRAME_WIDTH = 320
FRAME_LIMIT_S = 20.0
LEAD_S = 4
FRAME_BYTES = 1 << 20
PEAKS = 1000
WAVEFORM_HEIGHT = 100
WAVEFORM_SPEED = 20  # times real time that a waveform is given, at least


def frame(
    original: Original, row: dict[str, Any], at_ms: int, cache: FolderCache, fetched: FolderCache, settings: Settings
) -> Path:
    """A JPEG, 320 pixels wide, of the frame at a second of a video. Behind its end, of its first frame.

    Raises:
        CorruptMedia and its like: no frame can be decoded.
    """
    second = max(0, at_ms) // 1000

    def make(target: Path) -> None:
        copy = cache.find(copy_name(original)) if row["clock"] == "jumps" else None
        path = copy or local_file(original, fetched, settings, most_mb=settings.web_picture_mb)
        probed = probe(path, settings)
        if copy is None:
            probed = probed.seen_with(row["audio_track"] or 0)
        parts = None
        if copy is None and row["clock"] == "jumps":
            parts = parts_of(path, probed, _track_seen(probed), settings, limit_s=FRAME_LIMIT_S)
        picture = _frame(path, probed, second, parts, settings) or _frame(path, probed, 0, parts, settings)
        if not picture:
            raise CorruptMedia("No picture can be taken from it.")
        target.write_bytes(picture)

    return cache.get(f"{original.name}-{second}.jpg", make)


def _track_seen(probed: Probe) -> AudioTrack | None:
    """The sound that belongs to the picture."""
    return next((t for t in probed.tracks if t.picture and t.picture.stream == probed.video_stream), None)


def _frame(path: Path, probed: Probe, second: int, parts: Sequence[Stretch] | None, settings: Settings) -> bytes:
    """The picture at a second. Where time stamps lead nowhere, and `parts` say how they go on, by going through all before
    it."""
    track, seeks = _track_seen(probed), parts is None
    scaled, others = f"scale={FRAME_WIDTH}:-2", list[str]()
    if seeks and family(probed.container) in JUMPING:  # near a gap, a seek ends behind the place it is for
        begin_s = seek_s(probed, track, second - LEAD_S)
        options = ["-noaccurate_seek", "-ss", f"{begin_s:.3f}", *reading(probed, track, jumps=False)]
        scaled = f"select='gte(t,{second})',{scaled}"
    elif seeks:
        options = ["-ss", f"{seek_s(probed, track, second):.3f}"]
    else:
        options = reading(probed, track, jumps=True)
        scaled = f"{even_pictures(probed, parts or ())},select='gte(t,{second})',{scaled}"
        others = read_beside(probed, track)
    command = [
        "ffmpeg", "-v", "error", "-nostdin", "-threads", "1", *options, *input_arguments(), "-i", f"file:{path}",
        "-map", f"0:{probed.video_stream}", "-frames:v", "1", "-vf", scaled, "-q:v", "5", "-f", "mjpeg", "pipe:1", *others,
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
    original: Original, row: dict[str, Any], cache: FolderCache, fetched: FolderCache, settings: Settings
) -> Path:
    """An SVG of the loudness of a video's track over its whole length, 1000 by 100 units.

    Raises:
        CorruptMedia and its like: it cannot be decoded. MediaTooLong: longer than `web_copy_hours`.
    """

    def make(target: Path) -> None:
        path = local_file(original, fetched, settings, most_mb=settings.web_picture_mb)
        target.write_text(_drawn(_peaks(path, row, settings)), encoding="utf-8")

    return cache.get(f"{original.name}-{row['audio_track'] or 0}.svg", make)


def _peaks(path: Path, row: dict[str, Any], settings: Settings) -> Array:
    """The largest deflection in each of `PEAKS` equal parts, 0 to 1."""
    probed = probe(path, settings)
    source = whole_track(probed, row["audio_track"] or 0)
    length_s = (row["duration_ms"] or probed.duration_ms or 0) / 1000
    if source is None or not length_s:
        raise CorruptMedia("It has no sound.")
    if length_s > settings.web_copy_hours * 3600:
        raise MediaTooLong(f"It is longer than {settings.web_copy_hours:g} hours.")
    per_peak = max(1, int(length_s * 16_000 / PEAKS))
    peaks: list[Array] = []
    rest = np.zeros(0, np.int16)
    limit_s = 30 + length_s / WAVEFORM_SPEED
    limit = time.monotonic() + limit_s
    parts = parts_of(path, probed, source.track, settings, limit_s=limit_s) if row["clock"] == "jumps" else None
    with Sound(path, probed, source, settings, parts=parts) as sound:
        for pcm in sound.pcm():
            samples = np.concatenate([rest, pcm])
            whole = len(samples) // per_peak * per_peak
            peaks.append(np.abs(samples[:whole].astype(np.int32)).reshape(-1, per_peak).max(axis=1))
            rest = samples[whole:]
            if time.monotonic() > limit:
                raise StageTimeout("The waveform took too long.")
    loud: Array = np.concatenate(peaks)[:PEAKS] if peaks else np.zeros(0)
    return loud / 32768


def _drawn(peaks: Array) -> str:
    half = WAVEFORM_HEIGHT / 2
    bars = "".join(f"M{n} {half - 48 * peak:.1f}V{half + 48 * peak:.1f}" for n, peak in enumerate(peaks))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {PEAKS} {WAVEFORM_HEIGHT}" preserveAspectRatio="none">'
        f'<path d="M0 {half}H{PEAKS}{bars}" stroke="#7c8aa0" stroke-width="1" fill="none"/></svg>'
    )
