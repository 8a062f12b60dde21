"""Decoded sound: the ffmpeg command that makes PCM of one source, and its output on the clock of the file."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import ffmpeg
import numpy as np

from tasks.arrays import Array
from tasks.errors import StageTimeout
from tasks.media.clock import (
    FOLLOWED,
    JUMP_S,
    LONGEST_OVERLAP_S,
    Clock,
    beside,
    family,
    longest_gap_s,
    reading,
    stamped,
)
from tasks.media.inputs import input_options
from tasks.media.parts import Stretch
from tasks.media.process import ASIDE, Tool
from tasks.records import AudioTrack, Probe, Source
from tasks.settings import Settings

SAMPLE_RATE = 16_000
SLOWEST = 4  # times the length of the sound, and of the longest silence: what decodes more slowly is stopped
SILENT_PIECE = 1 << 20  # samples
_COUNT = "lavfi.astats.Overall.Number_of_samples"
_FRAME = re.compile(rb"pts:(-?\d+|NOPTS)[^\n]*\n[^=\n]*=(\d+)[^\n]*\n")


class Sound:
    """The sound of a source as int16 PCM on the clock, while the context lasts.

    With `channels` 1 it is what is heard; with 2, for people, the whole track. Of a file whose clock is known to jump, `parts`
    are what `parts_of` says. Afterwards `said` is what ffmpeg complained of, `failed` and `killed` how it ended, and
    `clock.jumps` how often the file's own clock was not followed.
    """

    def __init__(
        self,
        path: Path,
        probed: Probe,
        source: Source,
        settings: Settings,
        *,
        rate: int = SAMPLE_RATE,
        channels: int = 1,
        parts: Sequence[Stretch] | None = None,
    ) -> None:
        self._settings, self._length_s = settings, (probed.duration_ms or 0) / 1000
        self._rate, self._width = rate, 2 * channels
        overlap_s = LONGEST_OVERLAP_S
        if family(probed.container) in FOLLOWED:  # nothing is taken for there twice before the packets have been read
            overlap_s = 0.0 if parts is None else JUMP_S
        own = [one for one in parts or () if one.stream == source.track.stream]
        self.clock = Clock(
            rate,
            stamped=stamped(probed),
            gap_s=longest_gap_s(probed),
            overlap_s=overlap_s,
            stretches=[(round(one.begin_s * rate), round(one.end_s * rate), round(one.offset_s * rate)) for one in own],
        )
        command = _command(path, probed, source, rate, channels, jumps=parts is not None)
        self._tool = Tool(command, memory_mb=settings.media_memory_mb)

    def __enter__(self) -> Sound:
        self._tool.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._tool.__exit__(*error)

    @property
    def said(self) -> str:
        return self._tool.said

    @property
    def failed(self) -> bool:
        return self._tool.failed

    @property
    def killed(self) -> int | None:
        return self._tool.killed

    def pcm(self) -> Iterator[Array]:
        """The samples, of shape (n,) or (n, channels), silence in gaps included.

        Raises:
            StageTimeout: nothing came for `audio_stall_s`, or it decodes far more slowly than it plays.
        """
        stall_s, started = self._settings.audio_stall_s, time.monotonic()
        waiting = bytearray()
        for data in self._tool.output(stall_s=stall_s):
            waiting += data
            yield from self._placed(waiting, ended=False)
            played_s = max(self._length_s, self.clock.position / self._rate)
            limit_s = SLOWEST * max(stall_s, played_s)
            if time.monotonic() - started > limit_s:
                raise StageTimeout(f"ffmpeg was not done after {limit_s:.0f} s and was stopped.")
        yield from self._placed(waiting, ended=True)
        # Of an ffmpeg that died there may be sound of which it did not come to say where it belongs.
        whole = len(waiting) - len(waiting) % self._width
        self.clock.place(None, whole // self._width)
        yield from self._pieces(0, bytes(waiting[:whole]))

    def _placed(self, waiting: bytearray, *, ended: bool) -> Iterator[Array]:
        """Takes out of `waiting` what is known to belong somewhere. Frames that follow each other come as one."""
        first = at = 0  # bytes of `waiting` that are ready, from and to
        silence, read = 0, 0
        frames = list(_FRAME.finditer(self._tool.aside))
        stamps = [None if frame[1] == b"NOPTS" else int(frame[1]) for frame in frames] + [None]
        for number, frame in enumerate(frames):
            samples = int(frame[2])
            if at + samples * self._width > len(waiting) or not (ended or frame is not frames[-1]):
                break
            before, left_out = self.clock.place(stamps[number], samples, stamps[number + 1])
            if before or left_out:
                yield from self._pieces(silence, bytes(waiting[first:at]))
                first, silence = at + left_out * self._width, before
            at += samples * self._width
            read = frame.end()
        yield from self._pieces(silence, bytes(waiting[first:at]))
        del waiting[:at]
        del self._tool.aside[:read]

    def _pieces(self, silence: int, data: bytes) -> Iterator[Array]:
        while silence:
            piece = min(silence, SILENT_PIECE)
            yield self._shaped(np.zeros(piece * self._width // 2, np.int16))
            silence -= piece
        if data:
            yield self._shaped(np.frombuffer(data, np.int16))

    def _shaped(self, samples: Array) -> Array:
        return samples if self._width == 2 else samples.reshape(-1, self._width // 2)


def _command(path: Path, probed: Probe, source: Source, rate: int, channels: int, *, jumps: bool) -> list[str]:
    opened = ffmpeg.input(f"file:{path}", **input_options())
    audio = opened[f"a:{source.track.position}"]
    audio = _pcm(mixed(audio, source) if channels == 1 else audio, rate, "mono" if channels == 1 else "stereo")
    # How long each frame is and when it is due, which PCM does not say.
    audio = audio.filter("astats", metadata=1, reset=1, measure_perchannel="none", measure_overall="Number_of_samples")
    audio = audio.filter("ametadata", "print", key=_COUNT, file=f"pipe:{ASIDE}")
    outputs = [ffmpeg.output(audio, "pipe:", format="s16le", acodec="pcm_s16le")]
    others = [opened[str(stream)] for stream in beside(probed, source.track)]
    if others:
        outputs.append(ffmpeg.output(*others, "-", format="null", c="copy"))
    made = ffmpeg.merge_outputs(*outputs) if others else outputs[0]
    name, *rest = made.global_args("-v", "error", "-nostdin", "-hide_banner").compile()
    return [name, *reading(probed, source.track, jumps=jumps), *rest]


def _pcm(audio: Any, rate: int, layout: str) -> Any:
    audio = audio.filter("aresample", rate)
    return audio.filter("aformat", sample_fmts="s16", sample_rates=rate, channel_layouts=layout)


def mixed(audio: Any, source: Source) -> Any:
    """One channel of what is to be heard of a track."""
    track, chosen = source.track, source.channels
    if track.channels < 2:
        return audio
    audio = _laid_out(audio, track)
    if track.layout.startswith(("5.", "6.", "7.")) and len(chosen) == track.channels:
        # Speech is in the centre, which ffmpeg's own downmix makes one voice of many.
        return audio.filter("pan", args="mono|c0=FC+0.3*FL+0.3*FR")
    share = "+".join(f"{1 / len(chosen):.6f}*c{channel}" for channel in chosen)
    return audio.filter("pan", args=f"mono|c0={share}")


def _laid_out(audio: Any, track: AudioTrack) -> Any:
    """A stream may change its layout on the way, so that its channels are made those of its beginning."""
    layout = track.layout or (
        f"{track.channels}c" if track.channels <= 8 else ""
    )  # beyond, most numbers have no layout
    return audio.filter("aformat", channel_layouts=layout) if layout and track.channels > 1 else audio


def excerpt_command(path: Path, probed: Probe, track: AudioTrack, *, start_s: float, length_s: float) -> list[str]:
    """A command that writes `length_s` seconds from `start_s` on of all channels of a track as 16 kHz PCM, interleaved."""
    opened = ffmpeg.input(f"file:{path}", ss=f"{start_s:.3f}", t=f"{length_s:.3f}", **input_options())
    audio = opened[f"a:{track.position}"]
    audio = _laid_out(audio, track)
    made = ffmpeg.output(audio, "pipe:", format="s16le", acodec="pcm_s16le", ar=SAMPLE_RATE, ac=max(1, track.channels))
    command: list[str] = made.global_args("-v", "error", "-nostdin", "-hide_banner").compile()
    return command
