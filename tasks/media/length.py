"""How long a file is: what it says of itself where that can be right, else what its packets say."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.errors import NightscribeError
from tasks.media.clock import (
    CORRECTED,
    COUNTED_FROM_ZERO,
    JUMP_S,
    JUMPING,
    LATEST_BEGIN_S,
    OWN_ZERO,
    TOLERANCE_S,
    family,
)
from tasks.media.inputs import input_arguments
from tasks.media.process import Tool
from tasks.records import Steadiness
from tasks.settings import Settings

log = logging.getLogger("nightscribe")
# Bits a second: a clock that jumps makes hours of minutes, and so does a header that lies; a file that was cut off says less.
LEAST_RATE = 20_000
LEAST_RATE_MP3 = 1000
MEASURING_S = 600.0


@dataclass(frozen=True)
class Length:
    """`ms` on the clock, whose 0 is at `zero_ms` of the file's own time stamps, by which its first stream begins at `first_ms`.

    `exact` when the file says it, so that less is a part; `of_streams` when what it says of a stream is true as well;
    `likely` when the file has the bytes that so long a recording needs.
    """

    ms: int | None
    zero_ms: int
    first_ms: int
    exact: bool
    of_streams: bool
    likely: bool
    clock: Steadiness


def length_of(path: Path, found: dict[str, Any], settings: Settings) -> Length:
    """The length of a file, from ffprobe's answer. Where that is a guess, the file's packets are read, none is decoded."""
    container = found.get("format", {})
    kind = family(str(container.get("format_name", "")))
    start, duration = milliseconds(container.get("start_time")) or 0, milliseconds(container.get("duration"))
    zero = 0 if kind == OWN_ZERO and start <= LATEST_BEGIN_S * 1000 else start  # a piece of a stream that never ends
    if kind == "asf":  # ffprobe adds the start of a stream to a length that has it already
        stated = [milliseconds(s.get("duration")) for s in found["streams"]]
        duration = max((ms for ms in stated if ms is not None), default=duration)
    if duration is not None and kind in COUNTED_FROM_ZERO:
        duration = max(0, duration - max(0, zero))
    seen_only = kind in JUMPING | CORRECTED  # the last time stamp is no word about the length
    guessed = duration is None or bool(found.get("estimated"))
    least = LEAST_RATE_MP3 if kind == "mp3" else LEAST_RATE
    likely = not duration or 8000 * path.stat().st_size / duration >= least
    unlikely = (seen_only or kind == "mp3") and not likely
    if guessed or unlikely:
        measured = _measured(path, settings)
        duration = duration if measured is None and not unlikely else measured
    clock: Steadiness = "steady"
    if (seen_only and unlikely) or (kind == "ogg" and _chained(path)):
        clock = "jumps"
    elif guessed or unlikely or (kind == "mp3" and _variable(path)):
        clock = "estimated"
    elif start > TOLERANCE_S * 1000:
        clock = "offset"
    return Length(
        duration,
        zero,
        start,
        exact=not (guessed or seen_only or unlikely),
        of_streams=kind != "asf" and not (kind == "avi" and _riff_is_whole(path)),
        likely=likely,
        clock=clock,
    )


def _measured(path: Path, settings: Settings) -> int | None:
    """Milliseconds to the end of the last packet; None where that cannot be told."""
    command = [
        "ffmpeg", "-v", "error", "-nostdin", "-dts_delta_threshold", str(JUMP_S), *input_arguments(), "-i", f"file:{path}",
        "-map", "0:a?", "-map", "0:V?", "-c", "copy", "-f", "null", "-progress", "pipe:1", "-nostats", "-",
    ]  # fmt: skip
    told = b""
    try:
        with Tool(command, memory_mb=settings.media_memory_mb) as tool:
            for data in tool.output(stall_s=settings.audio_stall_s, limit_s=MEASURING_S):
                told = (told + data)[-4096:]
    except NightscribeError as error:
        log.debug("The length of %s was not found: %s", path, error)
        return None
    ends = re.findall(rb"^out_time_us=(\d+)", told, re.M)
    return int(ends[-1]) // 1000 if ends else None


def _chained(path: Path) -> bool:
    """Whether one Ogg stream follows another (RFC 3533): a page that begins one after a page that does not."""
    begun, rest = False, b""
    with path.open("rb") as handle:
        while data := handle.read(1 << 20):
            data = rest + data
            for page in re.finditer(rb"OggS\x00(.)", data, re.S):
                begins = bool(page[1][0] & 2)
                if begins and begun:
                    return True
                begun = begun or not begins
            rest = data[-5:]
    return False


def _riff_is_whole(path: Path) -> bool:
    """Whether an AVI has all that it announces: ffmpeg, for one, writes too great a length for sound that begins late."""
    size = path.stat().st_size
    with path.open("rb") as handle:
        at = 0
        while at + 8 <= size:
            handle.seek(at)
            name, length = handle.read(4), int.from_bytes(handle.read(4), "little")
            if name != b"RIFF":
                break  # what follows the last one is no part of it
            at += 8 + length + length % 2
    return 0 < at <= size + 1


def _variable(path: Path) -> bool:
    """Whether an MP3 says that its bit rate varies; players seek in such a file by a table of a hundred places."""
    with path.open("rb") as handle:
        head = handle.read(10)
        if head[:3] == b"ID3" and len(head) == 10:
            size = 0
            for byte in head[6:]:  # seven bits each
                size = size << 7 | byte & 0x7F
            handle.seek(10 + size)
        else:
            handle.seek(0)
        return bool(re.search(rb"Xing|VBRI", handle.read(4096)))


def milliseconds(text: str | None) -> int | None:
    """Seconds as ffprobe writes them."""
    try:
        return round(float(text) * 1000) if text else None
    except ValueError:
        return None
