"""The parts of a recording whose clock jumps, found by its packets: none of them is decoded.

Recordings that were joined have one clock each, and their sound and their picture need not end together. All streams of a part
are moved by as much, so that its earliest begins where the latest of the part before has ended.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks.media.clock import (
    FOLLOWED,
    JUMP_S,
    LONGEST_GAP_S,
    LONGEST_OVERLAP_S,
    ONE_FRAME_S,
    SLACK_S,
    family,
    longest_gap_s,
    zero_ms,
)
from tasks.media.inputs import input_arguments
from tasks.media.process import Tool
from tasks.records import AudioTrack, Probe
from tasks.settings import Settings

MOST_JUMPS = 20_000  # of a file: a damaged one has no end of them, and the time goes on after each
MOST_IN_FILTER = 100  # stretches of the picture in one expression
LIMIT_S = 3600.0


@dataclass
class Stretch:
    """Packets of one stream whose time stamps follow each other.

    Seconds by the time stamps of the file, whose 0 is moved to that of the clock; `offset_s` more is the time on the clock.
    `first` and `last` are places in the file.
    """

    stream: int
    begin_s: float
    end_s: float
    first: int
    last: int
    offset_s: float = 0.0


@dataclass(frozen=True)
class Packet:
    """What the demuxer says of a packet; seconds."""

    stream: int
    shown_s: float
    decoded_s: float
    lasts_s: float
    place: int


def parts_of(
    path: Path, probed: Probe, track: AudioTrack | None, settings: Settings, *, limit_s: float = LIMIT_S
) -> tuple[Stretch, ...]:
    """What follows each other in the streams that belong to a track, each with its offset, in the order of the file.

    Empty where ffmpeg itself corrects the clock.

    Raises:
        StageTimeout: the packets could not be read in `limit_s`.
    """
    if family(probed.container) not in FOLLOWED:
        return ()
    streams = set(track.programme) if track and track.programme else {probed.video_stream}
    zero_s = zero_ms(probed, track) / 1000
    command = [
        "ffprobe", "-v", "error", *input_arguments(), "-of", "compact=p=0:nk=1", "-show_entries",
        "packet=stream_index,pts_time,dts_time,duration_time,pos", f"file:{path}",
    ]  # fmt: skip
    with Tool(command, memory_mb=settings.media_memory_mb) as tool:
        told = tool.output(stall_s=settings.audio_stall_s, limit_s=limit_s)
        return tuple(aligned(stretches(p for p in _packets(told, zero_s) if p.stream in streams)))


def _packets(told: Iterable[bytes], zero_s: float) -> Iterable[Packet]:
    rest, place = b"", 0
    for data in told:
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            found = re.match(rb"(\d+)\|([^|]*)\|([^|]*)\|([^|]*)\|(\d*)", line)
            if found is None:
                continue
            shown, decoded, lasts = (_seconds(found[n]) for n in (2, 3, 4))
            at = decoded if shown is None else shown
            if at is None:
                continue
            place = int(found[5] or place)
            due = at if decoded is None else decoded
            yield Packet(int(found[1]), at - zero_s, due - zero_s, lasts or 0.0, place)


def _seconds(text: bytes) -> float | None:
    return None if text in (b"N/A", b"") else float(text)


def stretches(packets: Iterable[Packet]) -> list[Stretch]:
    """Where the time stamps of each stream follow each other, and where they do not."""
    found: list[Stretch] = []
    last: dict[int, tuple[Stretch, float]] = {}
    for packet in packets:
        stretch, due_s = last.get(packet.stream, (None, 0.0))
        goes_on = stretch is not None and due_s - JUMP_S <= packet.decoded_s <= due_s + LONGEST_GAP_S
        end_s = packet.shown_s + packet.lasts_s
        if stretch is None or (not goes_on and len(found) < MOST_JUMPS):
            stretch = Stretch(packet.stream, packet.shown_s, end_s, packet.place, packet.place)
            found.append(stretch)
        else:
            stretch.begin_s, stretch.end_s = min(stretch.begin_s, packet.shown_s), max(stretch.end_s, end_s)
            stretch.first, stretch.last = min(stretch.first, packet.place), max(stretch.last, packet.place)
        last[packet.stream] = stretch, packet.decoded_s + packet.lasts_s
    return found


def aligned(found: Sequence[Stretch]) -> list[Stretch]:
    """Give each stretch its offset. A part is what begins together: at most one stretch of each stream."""
    ordered = sorted(found, key=lambda stretch: stretch.first)
    part: list[Stretch] = []
    before: list[Stretch] = []  # those of earlier parts that may go on beside this one
    latest_s, first = 0.0, True
    for stretch in ordered:
        if any(stretch.stream == one.stream for one in part):
            before, part, first = [*before, *part], [], False
        part.append(stretch)
        if first:
            continue
        latest_s = max([latest_s, *(one.end_s + one.offset_s for one in before if one.last < part[0].first)])
        before = [one for one in before if one.last >= part[0].first]
        offset_s = latest_s - min(one.begin_s for one in part)
        for one in part:
            one.offset_s = offset_s
    return ordered


def end_ms(parts: Sequence[Stretch]) -> int | None:
    """Where the last of them ends on the clock."""
    return round(1000 * max(stretch.end_s + stretch.offset_s for stretch in parts)) if parts else None


def even_pictures(probed: Probe, parts: Sequence[Stretch]) -> str:
    """The filter that puts pictures on the clock, where that of the file jumps and ffmpeg does not correct it as it reads."""
    ahead = "(PTS-PREV_INPTS)*TB"
    own = [stretch for stretch in parts if stretch.stream == probed.video_stream]
    if not 1 < len(own) <= MOST_IN_FILTER:
        jumps = f"lt({ahead},{-LONGEST_OVERLAP_S})+gt({ahead},{longest_gap_s(probed)})"
        going_on = f"if({jumps},PREV_OUTPTS+{ONE_FRAME_S}/TB,PREV_OUTPTS+PTS-PREV_INPTS)"
        return f"setpts='if(isnan(PREV_INPTS),PTS,{going_on})'"
    following = "ld(0)"
    for number, one in reversed(list(enumerate(own))[1:]):
        within = f"between(T,{one.begin_s - SLACK_S:.3f},{one.end_s + SLACK_S:.3f})"
        following = f"if(lt(ld(0),{number})*{within},{number},{following})"
    jumps = f"lt({ahead},{-JUMP_S})+gt({ahead},{LONGEST_GAP_S})"
    offset = "+".join(f"eq(ld(0),{number})*({one.offset_s:.6f})" for number, one in enumerate(own))
    return f"setpts='st(0,if({jumps},{following},ld(0)));PTS+({offset})/TB'"
