"""Media through ffmpeg: what is in a file, which track is the speech, and its sound as 16 kHz mono PCM.

Files come from strangers. `-protocol_whitelist` alone lets a renamed playlist open other local files, so demuxers that
follow references are refused as well; every process has a limit in time, and writes to a file of bounded size.
"""

from __future__ import annotations

import json
import os
import re
import selectors
import shutil
import subprocess
import time
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import ffmpeg
import numpy as np

from tasks.arrays import Array
from tasks.errors import CorruptMedia, MediaTooLong, MissingTool, Permanent, StageTimeout, UnsupportedMedia
from tasks.records import Audio, AudioTrack, Probe
from tasks.settings import Settings

SAMPLE_RATE = 16_000
LISTEN_S = 120.0
SAID_BYTES = 64 << 10  # of ffmpeg's messages
SILENCE = 33  # int16 steps: -60 dB of full scale
# Demuxers that open other files or URLs named in the data, or that make video of any text.
FORBIDDEN_DEMUXERS = frozenset(
    """
    avisynth hls applehttp concat concatf dash image2 image2pipe imf mlv tty sdp rtsp rtp sap lavfi ffmetadata
    webm_dash_manifest bin xbin idf adf ssa ass srt subrip webvtt microdvd mpl2 mpsub pjs realtext sami scc stl subviewer subviewer1
    tedcaptions vobsub vplayer jacosub lrc aqtitle sup dvbsub dvbtxt txd alias_pix svg_pipe vapoursynth mpegtsraw
    """.split()
)
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
# The scheme box of ISO/IEC 23001-7 common encryption; ffmpeg decodes such streams to noise without a word about it.
ENCRYPTED = re.compile(rb"schm\x00\x00\x00[\x00\x01](?:cenc|cens|cbc1|cbcs)")


@cache
def allowed_demuxers() -> str:
    """The demuxers of this ffmpeg that only read the file they are given, as `-format_whitelist` wants them."""
    try:
        text = subprocess.run(["ffmpeg", "-v", "error", "-demuxers"], capture_output=True, text=True, check=True).stdout
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        raise MissingTool("ffmpeg was not found.", next="Install it: apt-get install ffmpeg") from error
    names = {name for names in re.findall(r"^ D[ d]* +(\S+)", text, re.M) for name in names.split(",")}
    pipes = {name for name in names if name.endswith("_pipe")}  # picture formats
    return ",".join(sorted(names - FORBIDDEN_DEMUXERS - pipes))


def input_options() -> dict[str, str]:
    """Options that must stand before any untrusted input."""
    return {"protocol_whitelist": "file,pipe", "format_whitelist": allowed_demuxers()}


def probe(path: Path, settings: Settings) -> Probe:
    """Streams and length of a file.

    Raises:
        CorruptMedia: not media, damaged or cut off. UnsupportedMedia: encrypted, or too many streams.
        StageTimeout: ffprobe took longer than `probe_timeout_s`.
    """
    if path.stat().st_size == 0:
        raise CorruptMedia("The file is empty.", reason="not_media")
    try:
        found = ffmpeg.probe(f"file:{path}", timeout=settings.probe_timeout_s, **input_options())
    except ffmpeg.Error as error:
        said = error.stderr.decode("utf-8", "replace")
        if "moov atom not found" in said and not _starts_as_mp4(path):
            raise CorruptMedia("It is not a media file, whatever its name says.", reason="not_media") from error
        raise explain(said) from error
    except subprocess.TimeoutExpired as error:
        raise StageTimeout(f"ffprobe gave no answer in {settings.probe_timeout_s:g} s.") from error
    except json.JSONDecodeError as error:
        raise CorruptMedia("ffprobe's answer cannot be read.", reason="not_media") from error
    streams = found.get("streams", [])
    if not streams:
        raise CorruptMedia("It has no streams.", reason="not_media")
    if len(streams) > settings.max_streams:
        raise UnsupportedMedia(f"It has {len(streams)} streams; more than {settings.max_streams} are not read.")
    video = next((s for s in streams if s.get("codec_type") == "video" and not _is_picture(s)), None)
    audio = [s for s in streams if s.get("codec_type") == "audio"]
    if not audio and video is None:
        raise CorruptMedia("It has no audio or video stream.", reason="not_media")
    container = found.get("format", {})
    return Probe(
        duration_ms=_milliseconds(container.get("duration")),
        container=str(container.get("format_name", "")),
        video_codec=video.get("codec_name") if video else None,
        width=video.get("width") if video else None,
        height=video.get("height") if video else None,
        fps=_ratio(video.get("avg_frame_rate")) if video else None,
        tracks=tuple(_track(i, s) for i, s in enumerate(audio)),
        tags={k.lower(): str(v) for k, v in container.get("tags", {}).items()},
    )


def _starts_as_mp4(path: Path) -> bool:
    """Whether the first box is one that an MP4 or MOV begins with (ffmpeg takes any .mp4 for one)."""
    with path.open("rb") as handle:
        return handle.read(8)[4:] in (b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot", b"styp")


def _track(position: int, stream: dict[str, Any]) -> AudioTrack:
    tags = {k.lower(): str(v) for k, v in stream.get("tags", {}).items()}
    disposition = stream.get("disposition", {})
    return AudioTrack(
        position=position,
        codec=str(stream.get("codec_name", "")),
        channels=int(stream.get("channels", 0) or 0),
        layout=str(stream.get("channel_layout", "")),
        sample_rate=int(stream.get("sample_rate", 0) or 0),
        language=tags.get("language") if tags.get("language") != "und" else None,
        default=bool(disposition.get("default")),
        comment=bool(disposition.get("comment") or disposition.get("visual_impaired")),
    )


def _is_picture(stream: dict[str, Any]) -> bool:
    return bool(stream.get("disposition", {}).get("attached_pic"))


def _milliseconds(text: str | None) -> int | None:
    try:
        return round(float(text) * 1000) if text else None
    except ValueError:
        return None


def _ratio(text: str | None) -> float | None:
    try:
        above, below = (text or "0/0").split("/")
        return round(int(above) / int(below), 3) if int(below) else None
    except ValueError:
        return None


def explain(stderr: str) -> Permanent:
    """The error that ffmpeg's words mean. The file's own name in them means nothing: it may say "encrypted"."""
    stderr = re.sub(r"file:(?:.*: |.*$)", "", stderr, flags=re.M)
    last = next((line.strip() for line in reversed(stderr.splitlines()) if line.strip()), "")
    last = re.sub(r"^\[[^\]]*\] *", "", last)[:300]
    for pattern, reason, sentence in SAID:
        if re.search(pattern, stderr, re.I):
            kind = UnsupportedMedia if reason in ("encrypted", "unsupported_codec") else CorruptMedia
            return kind(f"{sentence} ({last})" if last else sentence, reason=reason)
    return CorruptMedia(f"ffmpeg cannot read it: {last}", reason="corrupt")


def is_encrypted(path: Path, size: int = 4 << 20) -> bool:
    """Whether an MP4 says that it is encrypted, in its first or last four megabytes."""
    with path.open("rb") as handle:
        head = handle.read(size)
        handle.seek(max(0, path.stat().st_size - size))
        return bool(ENCRYPTED.search(head) or ENCRYPTED.search(handle.read()))


def choose_track(path: Path, tracks: Sequence[AudioTrack], settings: Settings) -> AudioTrack:
    """The track with speech: the one asked for, else by language tag, else by a short listen to each.

    A commentary or a description for the blind is taken only when there is nothing else.
    """
    if settings.audio_track is not None:
        for track in tracks:
            if track.position == settings.audio_track:
                return track
        raise UnsupportedMedia(f"It has no audio track {settings.audio_track}.", reason="unsupported_codec")
    usable = [t for t in tracks if not t.comment] or list(tracks)
    if settings.language:
        wanted = [t for t in usable if t.language and same_language(t.language, settings.language)]
        usable = wanted or usable
    if len(usable) == 1:
        return usable[0]
    scores = {track: speech_likeness(_listen(path, track, settings)) for track in usable[:8]}
    best = max(scores.values())
    close = [track for track in usable if scores.get(track, -1.0) >= best - 0.05]
    return next((t for t in close if t.default), close[0])


def same_language(a: str, b: str) -> bool:
    """`eng`, `en` and `en-GB` are one language here."""
    long = {
        "eng": "en",
        "fra": "fr",
        "fre": "fr",
        "deu": "de",
        "ger": "de",
        "spa": "es",
        "ron": "ro",
        "rum": "ro",
        "fas": "fa",
        "per": "fa",
    }
    short = [long.get(x.lower().split("-")[0].split("_")[0], x.lower().split("-")[0].split("_")[0]) for x in (a, b)]
    return short[0] == short[1]


def _listen(path: Path, track: AudioTrack, settings: Settings) -> Array:
    """The first two minutes, or what there is: titles and music often come before the speech."""
    stream = _pcm_stream(path, track, start_s=0.0, length_s=LISTEN_S)
    try:
        done = subprocess.run(
            stream.compile(), capture_output=True, stdin=subprocess.DEVNULL, timeout=settings.audio_stall_s
        )
    except subprocess.TimeoutExpired:
        return np.zeros(0, np.int16)
    return np.frombuffer(done.stdout[: len(done.stdout) // 2 * 2], np.int16)


def speech_likeness(pcm: Array) -> float:
    """How much a recording sounds like speech, 0 to 1: the share of its loudness that changes 2 to 8 times a second.

    Syllables come at about 4 Hz; music, sea and rain do not. After Scheirer & Slaney, "Construction and evaluation of
    a robust multifeature speech/music discriminator" (1997), the 4 Hz modulation energy.
    """
    frame = SAMPLE_RATE // 100
    n = len(pcm) // frame
    if n < 100:
        return 0.0
    blocks = pcm[: n * frame].reshape(n, frame).astype(np.float32)
    level = np.sqrt((np.diff(blocks, axis=1) ** 2).mean(axis=1))  # differences: rumble counts little
    if level.max() < SILENCE / 4:
        return 0.0
    loud = np.log(level + 1.0)
    spectrum = np.abs(np.fft.rfft((loud - loud.mean()) * np.hanning(n))) ** 2
    rates = np.fft.rfftfreq(n, 0.01)
    band = spectrum[(rates >= 2) & (rates <= 8)].sum()
    share = float(band / (spectrum[rates >= 0.2].sum() + 1e-9))
    depth = float(np.percentile(loud, 90) - np.percentile(loud, 10))  # steady noise has hardly any
    return share * min(1.0, depth / 2.0)


def _pcm_stream(path: Path, track: AudioTrack, *, start_s: float, length_s: float | None, out: str = "pipe:") -> Any:
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


def extract_audio(path: Path, probed: Probe, target: Path, settings: Settings) -> Audio:
    """Decode the speech track of `path` into the file `target`, in bounded memory.

    A file that breaks off gives what there was, with `incomplete` set.

    Raises:
        CorruptMedia: nothing could be decoded. MediaTooLong: more than `max_duration_h`. StageTimeout: no output for
        `audio_stall_s`. OSError: no space in scratch.
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
    command = _pcm_stream(path, track, start_s=0.0, length_s=longest_s).compile()
    samples, total, square, active = 0, 0.0, 0.0, 0
    said = bytearray()
    with (
        target.open("wb") as out,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, bufsize=0
        ) as process,
    ):
        try:
            for chunk in _chunks(process, settings.audio_stall_s, said):
                keep_free(target.parent, settings.scratch_free_gb)
                out.write(chunk)
                pcm = np.frombuffer(chunk, np.int16)
                samples += len(pcm)
                heard = pcm[np.abs(pcm.astype(np.int32)) > SILENCE].astype(np.float64)
                total, square, active = total + float(heard.sum()), square + float(heard @ heard), active + len(heard)
        except BaseException:
            process.kill()
            raise
    stderr = said.decode("utf-8", "replace")
    if samples > settings.max_duration_h * 3600 * SAMPLE_RATE:
        raise MediaTooLong(f"It is longer than {settings.max_duration_h:g} hours.")
    if not samples and (process.returncode or stderr.strip()):
        raise explain(stderr)
    mean = total / active / 32768 if active else 0.0
    deviation = float(np.sqrt(max(square / active / 32768**2 - mean**2, 0.0))) if active else 0.0
    incomplete = _incomplete(stderr, samples, probed.duration_ms)
    return Audio(str(target), samples, mean, deviation, track.position, incomplete)


def _incomplete(stderr: str, samples: int, declared_ms: int | None) -> str | None:
    """Why the sound is not all that the file promised, if so."""
    if declared_ms and samples / 16 < declared_ms * 0.98 - 2000 and stderr.strip():
        return f"Only {samples / SAMPLE_RATE:.1f} s of {declared_ms / 1000:.1f} s could be read."
    return None


def _chunks(process: subprocess.Popen[bytes], stall_s: float, said: bytearray, size: int = 1 << 20) -> Any:
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


def keep_free(folder: Path, gigabytes: float) -> None:
    """Raise OSError when the disk of `folder` has less than `gigabytes` left."""
    if shutil.disk_usage(folder).free < gigabytes * 1e9:
        raise OSError(28, f"Less than {gigabytes:g} GB is free in {folder}")
