"""The speech of a file as 16 kHz mono PCM in scratch."""

from __future__ import annotations

import signal
from pathlib import Path

import numpy as np

from tasks.errors import MediaTooLong, OutOfMemory, UnsupportedMedia
from tasks.media.pcm import SAMPLE_RATE, SILENCE, pcm_chunks, pcm_stream
from tasks.media.probe import explain, is_encrypted
from tasks.media.process import Tool
from tasks.media.tracks import choose_track
from tasks.records import Audio, AudioTrack, Probe
from tasks.scratch import writing
from tasks.settings import Settings

SLOWEST = 4  # times the length of the sound, and of the longest silence: what decodes more slowly is stopped


def extract_audio(path: Path, probed: Probe, target: Path, settings: Settings) -> Audio:
    """Decode the speech track of `path` into the file `target`, in bounded memory.

    A file that breaks off gives what there was, with `incomplete` set.

    Raises:
        CorruptMedia: nothing could be decoded. MediaTooLong: more than `max_duration_h`. StageTimeout: no output for
        `audio_stall_s`, or far slower than it plays. ScratchFull. OutOfMemory: ffmpeg was killed.
    """
    if probed.duration_ms and probed.duration_ms > settings.max_duration_h * 3_600_000:
        hours = probed.duration_ms / 3_600_000
        raise MediaTooLong(f"It is {hours:.1f} hours long; the limit is {settings.max_duration_h:g}.")
    if "mp4" in probed.container and is_encrypted(path):
        raise UnsupportedMedia("It is encrypted.", reason="encrypted")
    track = choose_track(path, probed.tracks, settings)
    longest_s = settings.max_duration_h * 3600 + 1
    if probed.duration_ms:
        # Gaps between damaged time stamps are filled with silence, for hours if need be.
        longest_s = min(longest_s, 2 * probed.duration_ms / 1000 + 600)
    command = pcm_stream(path, track, length_s=longest_s).compile()
    limit_s = max(SLOWEST * settings.audio_stall_s, SLOWEST * (probed.duration_ms or 0) / 1000)
    samples, total, square, active = 0, 0.0, 0.0, 0
    with writing(target, settings.scratch_free_gb) as write, Tool(command, memory_mb=settings.media_memory_mb) as tool:
        for pcm in pcm_chunks(tool, stall_s=settings.audio_stall_s, limit_s=limit_s):
            write(pcm.tobytes())
            samples += len(pcm)
            heard = pcm[np.abs(pcm.astype(np.int32)) > SILENCE].astype(np.float64)
            total, square, active = total + float(heard.sum()), square + float(heard @ heard), active + len(heard)
        failed, killed, stderr = tool.failed, tool.killed, tool.said
    if samples > settings.max_duration_h * 3600 * SAMPLE_RATE:
        raise MediaTooLong(f"It is longer than {settings.max_duration_h:g} hours.")
    if killed == signal.SIGKILL:  # as the kernel does when memory runs out
        raise OutOfMemory(
            "ffmpeg was killed while it read the file.", next="See that there is memory; it is tried again."
        )
    if not samples and (failed or stderr.strip()):
        raise explain(stderr, path)
    mean = total / active / 32768 if active else 0.0
    deviation = float(np.sqrt(max(square / active / 32768**2 - mean**2, 0.0))) if active else 0.0
    incomplete = _incomplete(stderr, samples, probed, track, longest_s)
    if killed and incomplete is None:
        incomplete = f"ffmpeg broke down after {samples / SAMPLE_RATE:.1f} s (signal {killed})."
    return Audio(str(target), samples, mean, deviation, track.position, incomplete)


def _incomplete(stderr: str, samples: int, probed: Probe, track: AudioTrack, longest_s: float) -> str | None:
    """Why the sound is not all that the file promised, if so.

    The file's length may be that of another stream, or an estimate: then it counts only when ffmpeg complained as well.
    """
    if samples >= int(longest_s * SAMPLE_RATE):
        return f"It goes on after {longest_s:.0f} s, far longer than it says."
    promised = track.duration_ms or (probed.duration_ms if stderr.strip() else None)
    if promised and samples / 16 < promised * 0.98 - 2000:
        return f"Only {samples / SAMPLE_RATE:.1f} s of {promised / 1000:.1f} s could be read."
    return None
