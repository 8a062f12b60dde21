"""The sound of a file as mono PCM in scratch: its speech at 16 kHz, all that is to be heard at more."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tasks.errors import MediaTooLong, OutOfMemory, UnsupportedMedia
from tasks.machine.scratch import writing
from tasks.media.clock import FOLLOWED, family
from tasks.media.parts import Stretch, end_ms, parts_of
from tasks.media.pcm import SAMPLE_RATE, Sound
from tasks.media.probe import explain, is_encrypted
from tasks.media.tracks import choose_sources
from tasks.records import SILENCE, Audio, AudioTrack, Probe, Source, Steadiness
from tasks.settings import Settings

JUMPED_MS = 2000  # more than the file says it has


def may_be_read(path: Path, probed: Probe, settings: Settings) -> None:
    """Look at what can be known of a file without decoding it.

    Raises:
        MediaTooLong: it says that it is longer than `max_duration_h`. UnsupportedMedia: it is encrypted.
    """
    if probed.exact and probed.likely and (probed.duration_ms or 0) > settings.max_duration_h * 3_600_000:
        hours = (probed.duration_ms or 0) / 3_600_000
        raise MediaTooLong(f"It is {hours:.1f} hours long; the limit is {settings.max_duration_h:g}.")
    if "mp4" in probed.container and is_encrypted(path):
        raise UnsupportedMedia("It is encrypted.", reason="encrypted")


def extract_audio(
    path: Path,
    probed: Probe,
    target: Path,
    settings: Settings,
    source: Source | None = None,
    *,
    rate: int = SAMPLE_RATE,
) -> Audio:
    """Decode a sound of `path` into the file `target`, in bounded memory; by default the one that is the likeliest speech, at
    `rate` samples a second.

    A file that breaks off gives what there was, with `incomplete` set.

    Raises:
        CorruptMedia: nothing could be decoded. MediaTooLong: more than `max_duration_h`. StageTimeout: no output for
        `audio_stall_s`, or far slower than it plays. ScratchFull. OutOfMemory: ffmpeg was killed.
    """
    may_be_read(path, probed, settings)
    source = source or choose_sources(path, probed, settings).sources[0]
    longest_s = settings.max_duration_h * 3600 + 1
    if probed.exact and probed.duration_ms:
        # Gaps between damaged time stamps are filled with silence, for hours if need be.
        longest_s = min(longest_s, 2 * probed.duration_ms / 1000 + 600)
    parts = parts_of(path, probed, source.track, settings) if probed.clock == "jumps" else None
    decoded = _decode(path, probed, source, target, settings, longest_s, parts, rate)
    if decoded.jumped and parts is None:
        probed = replace(probed, clock="jumps")
        if family(probed.container) in FOLLOWED:
            parts = parts_of(path, probed, source.track, settings)
            decoded = _decode(path, probed, source, target, settings, longest_s, parts, rate)
    samples, killed, said = decoded.samples, decoded.killed, decoded.said
    if samples > settings.max_duration_h * 3600 * rate:
        raise MediaTooLong(f"It is longer than {settings.max_duration_h:g} hours.")
    if killed == signal.SIGKILL:  # as the kernel does when memory runs out
        raise OutOfMemory(
            "ffmpeg was killed while it read the file.", next="See that there is memory; it is tried again."
        )
    if not samples and (decoded.failed or said.strip()):
        raise explain(said, path)
    incomplete = _incomplete(said, samples / rate, probed, source.track, longest_s)
    if killed and incomplete is None:
        incomplete = f"ffmpeg broke down after {samples / rate:.1f} s (signal {killed})."
    return Audio(
        str(target),
        samples,
        decoded.mean,
        decoded.deviation,
        source.track.position,
        incomplete,
        channels=source.channels,
        end_ms=end_ms(parts or ()),
        clock=_clock(probed, decoded, rate),
        rate=rate,
    )


@dataclass(frozen=True)
class _Decoded:
    """What came of one decoding; `jumped` and `gaps` are of the file's clock."""

    samples: int
    mean: float
    deviation: float
    failed: bool
    killed: int | None
    said: str
    jumped: bool
    gaps: bool


def _decode(
    path: Path,
    probed: Probe,
    source: Source,
    target: Path,
    settings: Settings,
    longest_s: float,
    parts: Sequence[Stretch] | None,
    rate: int,
) -> _Decoded:
    """At most `longest_s` of a sound; of a stream whose clock turns out to jump, no more than until there."""
    most, samples, total, square, active = int(longest_s * rate), 0, 0.0, 0.0, 0
    again = parts is None and family(probed.container) in FOLLOWED
    with (
        writing(target, settings.scratch_free_gb) as write,
        Sound(path, probed, source, settings, rate=rate, parts=parts) as sound,
    ):
        for pcm in sound.pcm():
            pcm = pcm[: most - samples]
            write(pcm.tobytes())
            samples += len(pcm)
            heard = pcm[np.abs(pcm.astype(np.int32)) > SILENCE].astype(np.float64)
            total, square, active = total + float(heard.sum()), square + float(heard @ heard), active + len(heard)
            stopped = samples >= most or (again and bool(sound.clock.jumps))
            if stopped:
                break
        else:
            stopped = False
        failed, killed = (False, None) if stopped else (sound.failed, sound.killed)
        said, clock = sound.said, sound.clock
    mean = total / active / 32768 if active else 0.0
    deviation = float(np.sqrt(max(square / active / 32768**2 - mean**2, 0.0))) if active else 0.0
    return _Decoded(samples, mean, deviation, failed, killed, said, bool(clock.jumps), bool(clock.gaps))


def _clock(probed: Probe, decoded: _Decoded, rate: int) -> Steadiness:
    """What is known of a file's clock after it was read to its end."""
    length_ms = probed.duration_ms
    longer = probed.exact and length_ms is not None and decoded.samples * 1000 / rate > length_ms + JUMPED_MS
    if longer or probed.clock == "jumps":
        return "jumps"
    return "gaps" if decoded.gaps else probed.clock


def _incomplete(said: str, seconds: float, probed: Probe, track: AudioTrack, longest_s: float) -> str | None:
    """Why the sound is not all that the file promised, if so.

    The file's length may be that of another stream: then it counts only when ffmpeg complained as well. A guess is no promise.
    """
    if seconds >= longest_s - 0.001:  # of which whole samples are kept
        return f"It goes on after {longest_s:.0f} s, far longer than it says."
    promised = None
    if probed.exact and track.duration_ms:
        promised = track.starts_ms + track.duration_ms
    elif probed.exact and said.strip():
        promised = probed.duration_ms
    if promised and seconds * 1000 < promised * 0.98 - 2000:
        return f"Only {seconds:.1f} s of {promised / 1000:.1f} s could be read."
    return None
