"""The pictures of a video that are worth a look: decoded once, on the clock of its rows.

ffmpeg decodes all of it, as the key frames of many files are no fair choice, and gives a small picture every half second. Of
these are kept: the first of each shot, one every so often in a long one, and none that looks like another of the last minute.
"""

from __future__ import annotations

import io
import re
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path

import numpy as np
from PIL import Image

from tasks.arrays import Array
from tasks.errors import CorruptMedia, StageTimeout
from tasks.machine.scratch import writing
from tasks.media.clock import read_beside, reading
from tasks.media.inputs import input_arguments
from tasks.media.parts import Stretch, even_pictures, parts_of
from tasks.media.probe import explain
from tasks.media.process import ASIDE, Tool
from tasks.records import AudioTrack, Probe
from tasks.settings import Settings

LOOK_MS = 500
SIDE = 960  # pixels of the longer side: enough to read a slide
SLOWEST = 4  # times the length of a video that its pictures may take
JPEG_QUALITY = 90
THUMBNAIL = (64, 36)
LEVELS = 8  # of each colour in a histogram
CUT = 0.35  # share of the pixels that change their place in the histogram: another shot
STILL_MS = 2000  # a picture that stayed for so long and then is another one was a slide
# What two pictures may differ by and still be the same: bits of the hash, mean of a colour, and the share of the small copy's
# pixels that are clearly others: a line of writing is few of them.
ALIKE_BITS, ALIKE_COLOUR, ALIKE_PIXELS = 4, 0.03, 0.005
OTHER = 0.1
MINUTE_MS = 60_000
_HEADER = re.compile(rb"P6\s(\d+)\s(\d+)\s255\s")
_STAMP = re.compile(rb"pts:(-?\d+)[^\n]*\n[^\n]*=look\n")


@dataclass(frozen=True)
class Frame:
    """What is to be seen from `start_ms` to `end_ms`, in shot number `shot` (from 0): a picture of its beginning, a JPEG in scratch.

    Frames that look the same have the same file.
    """

    path: str
    start_ms: int
    end_ms: int
    shot: int


@dataclass(frozen=True)
class Pictures:
    """What was kept of a video in a folder, in order; `incomplete` says where it broke off, if it did."""

    folder: Path
    frames: tuple[Frame, ...]
    incomplete: str | None = None


def extract_frames(
    path: Path,
    probed: Probe,
    track: AudioTrack | None,
    folder: Path,
    settings: Settings,
    *,
    every_s: float,
    most_a_minute: int,
) -> Pictures:
    """Write the frames of a video worth a look to `folder`, one in memory at a time. None of a file without pictures.

    `track` is the sound that is heard, whose programme the pictures belong to.

    Raises:
        CorruptMedia: no picture could be decoded. StageTimeout: nothing came for `audio_stall_s`, or far more slowly than it
        plays. ScratchFull.
    """
    if probed.video_stream is None:
        return Pictures(folder, ())
    parts = parts_of(path, probed, track, settings) if probed.clock == "jumps" else None
    chosen, files = Chooser(every_s, most_a_minute), list[str]()
    frames: list[Frame] = []
    with Tool(_command(path, probed, track, parts), memory_mb=settings.media_memory_mb) as tool:
        for at_ms, picture in _pictures(tool, probed, settings):
            if begun := chosen.take(at_ms, picture):
                if begun.again is None:
                    files.append(_written(picture, folder / f"{len(files):06d}.jpg", settings))
                file = files[-1 if begun.again is None else begun.again]
                frames.append(Frame(file, at_ms, at_ms, begun.shot))
            if chosen.showing:
                frames[-1] = replace(frames[-1], end_ms=(at_ms // LOOK_MS + 1) * LOOK_MS)
        said, failed = tool.said, tool.failed
    if not frames and (failed or said.strip()):
        error = explain(said, path)
        if isinstance(error, CorruptMedia):  # though the file is media
            error = CorruptMedia(f"None of its pictures can be decoded: {error}")
        raise error
    broken = f"The picture broke off after {frames[-1].end_ms / 1000:.1f} s." if failed and frames else None
    return Pictures(folder, tuple(frames), broken)


def _written(picture: Array, target: Path, settings: Settings) -> str:
    with writing(target, settings.scratch_free_gb) as write:
        made = io.BytesIO()
        Image.fromarray(picture).save(made, "JPEG", quality=JPEG_QUALITY)
        write(made.getvalue())
    return str(target)


def _command(path: Path, probed: Probe, track: AudioTrack | None, parts: Sequence[Stretch] | None) -> list[str]:
    share = f"min(1,{SIDE}/max(iw*sar,ih))"
    filters = [
        even_pictures(probed, parts) if parts is not None else "null",
        "settb=1/1000",  # so that times are whole numbers: as seconds they are printed with six digits
        # The first of each half second, which drifts at no frame rate.
        f"select='isnan(prev_selected_pts)+gt(floor(pts/{LOOK_MS}),floor(prev_selected_pts/{LOOK_MS}))'",
        f"scale='max(1,trunc(iw*sar*{share}))':'max(1,trunc(ih*{share}))'",
        "format=rgb24",
        "metadata=add:key=this:value=look",
        f"metadata=print:key=this:file=pipe\\\\:{ASIDE}:direct=1",
    ]
    return [
        "ffmpeg", "-v", "error", "-nostdin", *reading(probed, track, jumps=parts is not None), *input_arguments(),
        "-i", f"file:{path}", "-map", f"0:{probed.video_stream}", "-vf", ",".join(filters), "-vsync", "passthrough",
        "-c:v", "ppm", "-f", "image2pipe", "pipe:1", *read_beside(probed, track),
    ]  # fmt: skip


def _pictures(tool: Tool, probed: Probe, settings: Settings) -> Iterator[tuple[int, Array]]:
    """Each look: when it is, and what is to be seen, (height, width, 3) bytes."""
    started, waiting, at_ms = time.monotonic(), bytearray(), 0
    # Once more at the end: what says when the last picture is may be read after it.
    for data in chain(tool.output(stall_s=settings.audio_stall_s), [b""]):
        waiting += data
        while (header := _HEADER.match(waiting)) and (stamp := _STAMP.search(tool.aside)):
            width, height = int(header[1]), int(header[2])
            end = header.end() + 3 * width * height
            if len(waiting) < end:
                break
            at_ms = max(0, int(stamp[1]))
            yield at_ms, np.frombuffer(bytes(waiting[header.end() : end]), np.uint8).reshape(height, width, 3)
            del waiting[:end], tool.aside[: stamp.end()]
        limit_s = SLOWEST * max(settings.audio_stall_s, (probed.duration_ms or 0) / 1000, at_ms / 1000)
        if time.monotonic() - started > limit_s:
            raise StageTimeout(f"ffmpeg was not done after {limit_s:.0f} s and was stopped.")


@dataclass(frozen=True)
class Begun:
    """Something else is to be seen: in which shot, and `again`, the number of the picture it is if that was kept already."""

    shot: int
    again: int | None


@dataclass
class Chooser:
    """Tells of each look whether something else is to be seen that is worth keeping. Pictures are counted from 0.

    At a cut, after `every_s` in one shot, and where a picture that stood still is another one: but of what was seen in the last
    minute nothing is kept twice, and no more than `most_a_minute` are kept in one. `showing` is whether what is seen now
    belongs to what began last; it does not in a shot that found no room.
    """

    every_s: float
    most_a_minute: int
    showing: bool = False
    _shot: int = -1
    _count: int = 0
    _kept: deque[tuple[int, int, _Seen]] = field(
        default_factory=deque
    )  # of the last minute: number, time, what was seen
    _shown: _Seen | None = None
    _since: int = 0
    _before: _Seen | None = None
    _still_since: int = 0

    def take(self, at_ms: int, picture: Array) -> Begun | None:
        seen = _Seen.of(picture)
        changed = self._changed(at_ms, seen)
        self.showing = self.showing and not changed
        if self.showing and (seen.like(self._shown) or at_ms - self._since < self.every_s * 1000):
            return None
        while self._kept and at_ms - self._kept[0][1] >= MINUTE_MS:
            self._kept.popleft()
        again = next((number for number, _, one in reversed(self._kept) if seen.like(one)), None)
        if again is None:
            if len(self._kept) >= self.most_a_minute:
                return None
            self._kept.append((self._count, at_ms, seen))
            self._count += 1
        self.showing, self._since, self._shown = True, at_ms, seen
        return Begun(self._shot, again)

    def _changed(self, at_ms: int, seen: _Seen) -> bool:
        """Whether this is another shot, or another slide."""
        before, self._before = self._before, seen
        if before is None:
            self._shot = 0
            return True
        alike = seen.like(before)
        was_still = at_ms - self._still_since >= STILL_MS
        if not alike:
            self._still_since = at_ms
        if seen.moved(before) <= CUT and (alike or not was_still):
            return False
        self._shot += 1
        return True


@dataclass(frozen=True)
class _Seen:
    """A picture in short: a small copy, its histogram, and its difference hash (Krawetz, "Kind of like that", 2013)."""

    small: Array
    histogram: Array
    look: int

    @classmethod
    def of(cls, picture: Array) -> _Seen:
        whole = Image.fromarray(picture)
        small = np.asarray(whole.resize(THUMBNAIL, Image.Resampling.BOX), np.float32) / 255
        levels = np.minimum((small * LEVELS).astype(int), LEVELS - 1)
        histogram = np.stack([np.bincount(levels[..., colour].ravel(), minlength=LEVELS) for colour in range(3)])
        grey = np.asarray(whole.convert("L").resize((9, 8), Image.Resampling.BOX), int)
        bits = (grey[:, 1:] > grey[:, :-1]).ravel()
        return cls(small, histogram / small[..., 0].size, int(np.packbits(bits).tobytes().hex(), 16))

    def moved(self, other: _Seen) -> float:
        """The share of pixels that have another place in the histogram, 0 to 1."""
        return float(np.abs(self.histogram - other.histogram).sum(axis=1).mean() / 2)

    def like(self, other: _Seen | None) -> bool:
        if other is None:
            return False
        differs = np.abs(self.small - other.small)
        others = float((differs.max(axis=2) > OTHER).mean())
        bits = (self.look ^ other.look).bit_count()
        return bits <= ALIKE_BITS and float(differs.mean()) <= ALIKE_COLOUR and others <= ALIKE_PIXELS
