"""What is in a file: its streams and its length, asked of ffprobe, which may follow no reference out of it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tasks.errors import CorruptMedia, ObjectChanged, Permanent, StorageBusy, Transient, UnsupportedMedia
from tasks.media.inputs import input_arguments
from tasks.media.length import Length, length_of, milliseconds
from tasks.media.process import Tool
from tasks.records import AudioTrack, Picture, Probe
from tasks.settings import Settings

ANSWER_BYTES = 16 << 20  # of ffprobe: a file may claim any number of streams and tags
# What ffmpeg says, the reason in the lake, a sentence for people; the first that fits counts.
SAID = (
    (r"does not contain any stream|matches no streams", "not_media", "It has no audio or video stream."),
    (r"encrypt|decryption", "encrypted", "It is encrypted."),
    (r"Permission denied", "access_denied", "It may not be read."),
    (r"EBML header parsing failed|not on whitelist", "not_media", "It is not a media file."),
    (r"moov atom not found|partial file|End of file", "truncated", "It is cut off."),
    (
        r"Decoder .*not found|unknown codec|unsupported codec|no decoder|not currently supported|not implemented|"
        r"opening decoder|could not open codec",
        "unsupported_codec",
        "Its codec is not supported.",
    ),
    (r"Invalid data found", "not_media", "It is not a media file."),
)
# What the machine says, not the file: it may be otherwise an hour later.
PASSING: dict[str, type[Transient]] = {
    "No such file or directory": ObjectChanged,
    "Stale file handle": StorageBusy,
    "Too many open files": StorageBusy,
}
# The scheme box of ISO/IEC 23001-7 common encryption; ffmpeg decodes such streams to noise without a word about it.
ENCRYPTED = re.compile(rb"schm\x00\x00\x00[\x00\x01](?:cenc|cens|cbc1|cbcs)")


def probe(path: Path, settings: Settings) -> Probe:
    """Streams and length of a file.

    Raises:
        CorruptMedia: not media, damaged or cut off. UnsupportedMedia: encrypted, or too many streams.
        StageTimeout: ffprobe took longer than `probe_timeout_s`.
    """
    if path.stat().st_size == 0:
        raise CorruptMedia("The file is empty.", reason="not_media")
    found = _ask(path, settings)
    streams = found.get("streams", [])
    if not streams:
        raise CorruptMedia("It has no streams.", reason="not_media")
    audio = [s for s in streams if s.get("codec_type") == "audio"]
    video = [s for s in streams if s.get("codec_type") == "video" and not _is_still(s)]
    if not audio and not video:
        raise CorruptMedia("It has no audio or video stream.", reason="not_media")
    if len(audio) + len(video) > settings.max_streams:
        raise UnsupportedMedia(
            f"It has {len(audio) + len(video)} streams of sound and pictures; more than {settings.max_streams} are not read."
        )
    container = found.get("format", {})
    name = str(container.get("format_name", ""))
    length = length_of(path, found, settings)
    pictures = [_picture(s) for s in video]
    first = pictures[0] if pictures else None
    programmes = _programmes(found, [s["index"] for s in (*audio, *video)])
    return Probe(
        duration_ms=length.ms,
        container=name,
        video_codec=first.codec if first else None,
        width=first.width if first else None,
        height=first.height if first else None,
        fps=first.fps if first else None,
        tracks=tuple(_track(i, s, pictures, programmes, length) for i, s in enumerate(audio)),
        tags={k.lower(): str(v) for k, v in container.get("tags", {}).items()},
        video_stream=first.stream if first else None,
        pixels=first.pixels if first else None,
        exact=length.exact,
        likely=length.likely,
        starts_ms=length.starts_ms,
        clock=length.clock,
    )


def _ask(path: Path, settings: Settings) -> dict[str, Any]:
    """What ffprobe says, as its JSON has it."""
    # As warnings: ffprobe may fail over a codec it cannot open without calling that an error.
    command = [
        "ffprobe",
        "-v",
        "warning",
        *input_arguments(),
        "-show_format",
        "-show_streams",
        "-show_programs",
        "-of",
        "json",
        f"file:{path}",
    ]
    answer = bytearray()
    with Tool(command, memory_mb=settings.media_memory_mb) as tool:
        for data in tool.output(stall_s=settings.probe_timeout_s):
            answer += data
            if len(answer) > ANSWER_BYTES:
                raise UnsupportedMedia("Its streams and tags have no end.", reason="not_media")
        failed, said = tool.failed, tool.said
    if failed:
        if "moov atom not found" in said and not _starts_as_mp4(path):
            raise CorruptMedia("It is not a media file, whatever its name says.", reason="not_media")
        raise explain(said, path)
    try:
        found: dict[str, Any] = json.loads(answer)
    except ValueError as error:
        raise CorruptMedia("ffprobe's answer cannot be read.", reason="not_media") from error
    found["estimated"] = "Estimating duration" in said
    return found


def _starts_as_mp4(path: Path) -> bool:
    """Whether the first box is one that an MP4 or MOV begins with (ffmpeg takes any .mp4 for one)."""
    with path.open("rb") as handle:
        return handle.read(8)[4:] in (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp")


def _track(
    position: int,
    stream: dict[str, Any],
    pictures: Sequence[Picture],
    programmes: Sequence[tuple[int, ...]],
    length: Length,
) -> AudioTrack:
    tags = {k.lower(): str(v) for k, v in stream.get("tags", {}).items()}
    disposition = stream.get("disposition", {})
    programme = next((p for p in programmes if stream["index"] in p), ())
    duration = milliseconds(stream.get("duration")) if length.exact and length.of_streams else None
    starts = max(0, (milliseconds(stream.get("start_time")) or 0) - length.zero_ms)
    if duration is not None and length.ms is not None and length.starts_ms:
        duration = min(duration, max(0, length.ms - starts))  # a part of a recording may state the length of the whole
    return AudioTrack(
        position=position,
        codec=str(stream.get("codec_name", "")),
        channels=int(stream.get("channels", 0) or 0),
        layout=str(stream.get("channel_layout", "")),
        sample_rate=int(stream.get("sample_rate", 0) or 0),
        language=tags.get("language") if tags.get("language") != "und" else None,
        default=bool(disposition.get("default")),
        comment=bool(disposition.get("comment") or disposition.get("visual_impaired")),
        duration_ms=duration,
        starts_ms=starts,
        stream=stream["index"],
        programme=programme,
        picture=next((p for p in pictures if p.stream in programme), None),
    )


def _picture(stream: dict[str, Any]) -> Picture:
    return Picture(
        stream=stream["index"],
        codec=stream.get("codec_name"),
        width=stream.get("width"),
        height=stream.get("height"),
        fps=_ratio(stream.get("avg_frame_rate")),
        pixels=stream.get("pix_fmt"),
    )


def _programmes(found: dict[str, Any], streams: Sequence[int]) -> list[tuple[int, ...]]:
    """Which of the streams belong together: the programmes of a transport stream, and what is in none; else all."""
    listed = [own for p in found.get("programs", ()) if (own := {s["index"] for s in p.get("streams", ())})]
    if len(listed) < 2:
        return [tuple(streams)]
    parts = [tuple(s for s in streams if s in own) for own in listed]
    rest = tuple(s for s in streams if not any(s in own for own in listed))
    return [part for part in (*parts, rest) if part]


def _is_still(stream: dict[str, Any]) -> bool:
    """Whether a stream of pictures is a cover or a thumbnail."""
    disposition = stream.get("disposition", {})
    return bool(disposition.get("attached_pic") or disposition.get("timed_thumbnails"))


def _ratio(text: str | None) -> float | None:
    try:
        above, below = (text or "0/0").split("/")
        return round(int(above) / int(below), 3) if int(below) else None
    except ValueError:
        return None


def explain(stderr: str, path: Path) -> Permanent | Transient:
    """The error that ffmpeg's words about `path` mean. The file's own name in them means nothing: it may say "encrypted"."""
    if "Input/output error" in stderr and not _readable(path):  # ffmpeg also says so of damaged data
        return StorageBusy("It could not be read to its end: input/output error.")
    stderr = re.sub(r"file:(?:.*: |.*$)", "", stderr, flags=re.M)
    last = next((line.strip() for line in reversed(stderr.splitlines()) if line.strip()), "")
    last = re.sub(r"^\[[^\]]*\] *", "", last)[:300]
    for words, passing in PASSING.items():
        if words in stderr:
            return passing(f"{words}, while the file was read.")
    for pattern, reason, sentence in SAID:
        if re.search(pattern, stderr, re.I):
            kind = UnsupportedMedia if reason in ("encrypted", "unsupported_codec") else CorruptMedia
            return kind(f"{sentence} ({last})" if last else sentence, reason=reason)
    return CorruptMedia(f"ffmpeg cannot read it: {last or 'it does not say why.'}", reason="corrupt")


def _readable(path: Path) -> bool:
    try:
        with path.open("rb") as handle:
            while handle.read(1 << 20):
                pass
    except OSError:
        return False
    return True


def is_encrypted(path: Path, size: int = 4 << 20) -> bool:
    """Whether an MP4 says that it is encrypted, in its first or last four megabytes."""
    with path.open("rb") as handle:
        head = handle.read(size)
        handle.seek(max(0, path.stat().st_size - size))
        return bool(ENCRYPTED.search(head) or ENCRYPTED.search(handle.read()))
