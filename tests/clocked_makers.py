"""Makers of media files whose clock is known: speech beside a picture that says by itself which moment it shows."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from conftest import BUCKET
from made_media import make

LENGTH_MS = 24_400
# Pauses between sentences, where no word is damaged by a cut. Frames of the picture begin there too.
PAUSES_MS = (4_480, 8_320, 14_080, 18_880)
FRAME_MS = 40
BLOCKS = 16  # along the top of the picture, white for 1: 12 bits of the frame's number, 4 that add its digits up


@dataclass(frozen=True)
class Material:
    """Speech (48 kHz mono WAV) and a picture (H.264, 25 fps, a key frame each second) of `LENGTH_MS`; a folder for parts."""

    sound: Path
    picture: Path
    folder: Path


MUXERS_OWN_S = {".mpg": 0.54}  # the first time stamp, which the muxer chooses only where no offset is given
HEADER = {".flv": 13}  # bytes of a file's header that stand once

Maker = Callable[[Material, Path], None]


def make_material(folder: Path) -> Material:
    """The first sentences of a talk of the sample archive, and the picture to them."""
    folder.mkdir(parents=True, exist_ok=True)
    made = Material(folder / "sound.wav", folder / "picture.mp4", folder)
    talk = BUCKET / "sport" / "cup-final.mov"
    make("-i", talk, "-t", str(LENGTH_MS / 1000), "-vn", "-ac", "1", "-ar", "48000", made.sound)
    command = [
        "ffmpeg", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "gray", "-s", "320x180", "-r", "25", "-i", "-",
        "-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-g", "25", "-pix_fmt", "yuv420p", str(made.picture),
    ]  # fmt: skip
    frames = b"".join(frame(number).tobytes() for number in range(LENGTH_MS // FRAME_MS))
    subprocess.run(command, input=frames, check=True)
    return made


def frame(number: int) -> np.ndarray:
    """The picture of a frame, 180 rows of 320: its number in blocks, and a bar that goes along."""
    picture = np.full((180, 320), 60, np.uint8)
    picture[60:160, 4 * number % 320 :][:, :24] = 180
    code = number | (number + (number >> 4) + (number >> 8) & 15) << 12
    for bit in range(BLOCKS):
        picture[:40, 20 * bit : 20 * bit + 20] = 235 if code >> bit & 1 else 16
    return picture


def film(*options: str, sound_s: float = 0.0, picture_s: float = 0.0) -> Maker:
    """Sound and picture, each begun so many seconds later."""

    def made(material: Material, target: Path) -> None:
        inputs = [
            "-itsoffset",
            str(picture_s),
            "-i",
            material.picture,
            "-itsoffset",
            str(sound_s),
            "-i",
            material.sound,
        ]
        rate = ["-fps_mode", "passthrough"] if picture_s else []  # else the first frame would be repeated from 0 on
        make(*inputs, "-map", "0:v", "-map", "1:a", *rate, *options, target)

    return made


def second_track(*options: str, sound_s: float) -> Maker:
    """A tone on the first track of sound; the speech is on the second, and begins later."""

    def made(material: Material, target: Path) -> None:
        tone = ["-f", "lavfi", "-i", f"sine=440:r=48000:d={LENGTH_MS // 1000}"]
        inputs = ["-i", material.picture, *tone, "-itsoffset", str(sound_s), "-i", material.sound]
        make(*inputs, "-map", "0:v", "-map", "1:a", "-map", "2:a", *options, target)

    return made


def covered(*options: str) -> Maker:
    """Sound with a picture of its cover."""
    cover = ("-c:v", "mjpeg", "-frames:v", "1", "-disposition:v", "attached_pic")
    return lambda material, target: make(
        "-i", material.sound, "-i", material.picture, "-map", "0:a", "-map", "1:v", *cover, *options, target
    )


def recording(*options: str) -> Maker:
    """Sound alone."""
    return lambda material, target: make("-i", material.sound, *options, target)


def streamed(*options: str, picture: bool = True) -> Maker:
    """As it comes out of a pipe: nothing that is known only at the end is in the file."""

    def made(material: Material, target: Path) -> None:
        inputs = ["-i", str(material.picture), "-i", str(material.sound), "-map", "0:v", "-map", "1:a"]
        command = ["ffmpeg", "-v", "error", *(inputs if picture else inputs[2:4]), *options, "pipe:1"]
        with target.open("wb") as file:
            subprocess.run(command, stdout=file, check=True)

    return made


def joined(
    *options: str,
    cuts_ms: Sequence[int] = PAUSES_MS[2:3],
    each: Sequence[Sequence[str]] = (),
    clocks: Sequence[float | None] = (),
    picture: bool = True,
    late_s: tuple[float, float] | None = None,
) -> Maker:
    """Parts that were made one by one and joined byte by byte.

    `each` has more options for each part. The clock of a part begins anew (None), or so many seconds after the end of
    what stands before it. A part begins with what is said at the time that the parts before it last; with `late_s`, with what
    follows. That is how much later the sound of each part begins, and how much longer its picture is shown.
    """

    def made(material: Material, target: Path) -> None:
        begin = said = 0.0
        sound_s, longer_s = late_s or (0.0, 0.0)
        with target.open("wb") as file:
            for number, end_ms in enumerate((*cuts_ms, LENGTH_MS)):
                own = [*options, *(each[number] if each else ())]
                first = said if late_s else begin
                start = first if picture else first + _priming(own)
                lasts = end_ms / 1000 - start
                inputs = ["-ss", str(first), "-t", str(lasts + longer_s), "-i", material.picture] if picture else []
                inputs += [
                    "-itsoffset",
                    str(sound_s),
                    "-ss",
                    str(start),
                    "-t",
                    str(sound_s + lasts),
                    "-i",
                    material.sound,
                ]
                clock = clocks[number] if clocks else None
                if clock is not None:
                    own += ["-output_ts_offset", str(begin + clock + MUXERS_OWN_S.get(target.suffix, 0.0))]
                part = material.folder / f"part-{number}{target.suffix}"
                make(*inputs, *own, part)
                begin += _lasts(part)
                said = end_ms / 1000
                file.write(part.read_bytes()[HEADER.get(target.suffix, 0) if number else 0 :])

    return made


def _priming(options: Sequence[str]) -> float:
    """Seconds of silence that an encoder puts before the sound, where no container says so."""
    codec = options[options.index("-c:a") + 1]
    rate = options[options.index("-ar") + 1] if "-ar" in options else "48000"
    return {"aac": 1024, "libmp3lame": 1105, "ac3": 256}.get(codec, 0) / int(rate)


def _lasts(path: Path) -> float:
    """Seconds from a file's first packet to the end of its last one."""
    command = ["ffprobe", "-v", "error", "-show_entries", "packet=pts_time,duration_time", "-of", "csv=p=0", str(path)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    times = [line.split(",")[:2] for line in said.split() if "N/A" not in line]
    return max(float(at) + float(lasts) for at, lasts in times) - max(0.0, min(float(at) for at, _ in times))


def later(*options: str, from_ms: int, by_s: float, sound_only: bool = False) -> Maker:
    """Time stamps that jump in the middle of one stream: of sound and picture, or of the sound while the picture goes on."""

    def made(material: Material, target: Path) -> None:
        moved = f"'PTS+gte(T,{from_ms / 1000 - 0.005})*{by_s}/TB'"
        picture = f"tpad=stop_mode=clone:stop_duration={by_s}" if sound_only else f"setpts={moved}"
        filters = f"[0:a]asetnsamples=480,asetpts={moved}[a];[1:v]{picture}[v]"
        inputs = ["-i", material.sound, "-i", material.picture, "-filter_complex", filters]
        make(*inputs, "-map", "[v]", "-map", "[a]", "-fps_mode", "passthrough", *options, target)

    return made


def surrounded(*options: str, before_s: int, after_s: int) -> Maker:
    """The speech between silence and a humming, which take other numbers of bits: lengths that are estimates fail."""

    def made(material: Material, target: Path) -> None:
        silence = ["-f", "lavfi", "-i", f"anullsrc=r=48000:cl=mono:d={before_s}"]
        humming = ["-f", "lavfi", "-i", f"anoisesrc=r=48000:c=brown:a=0.2:seed=1:d={after_s}"]
        whole = ["-filter_complex", "[0][1][2]concat=n=3:v=0:a=1[a]", "-map", "[a]"]
        make(*silence, "-i", material.sound, *humming, *whole, *options, target)

    return made


def copied(first: Maker, name: str, *before: str, after: Sequence[str] = ()) -> Maker:
    """Another file, cut or put into another container without a change of its packets."""

    def made(material: Material, target: Path) -> None:
        source = material.folder / name
        first(material, source)
        make(*before, "-i", source, "-map", "0", "-c", "copy", *after, target)

    return made


def later_segments(*options: str, from_ms: int, picture: bool = True) -> Maker:
    """The header of a fragmented MP4 and its segments from `from_ms` on, as somebody has them who came later."""

    def made(material: Material, target: Path) -> None:
        folder = material.folder / f"{target.name} segments"
        folder.mkdir()
        cut = str(from_ms / 1000)
        inputs = ["-i", str(material.picture), "-i", str(material.sound), "-map", "0:v", "-map", "1:a"]
        names = ["-hls_fmp4_init_filename", "head.mp4", "-hls_segment_filename", str(folder / "%d.m4s")]
        cutting = ["-f", "hls", "-hls_segment_type", "fmp4", "-hls_playlist_type", "vod", "-hls_time", cut, *names]
        keys = ["-g", "1000", "-force_key_frames", cut] if picture else []
        make(*(inputs if picture else inputs[2:4]), *options, *keys, *cutting, folder / "all.m3u8")
        later = sorted(folder.glob("*.m4s"), key=lambda path: int(path.stem))[1:]
        target.write_bytes(b"".join(path.read_bytes() for path in (folder / "head.mp4", *later)))

    return made


def later_pages(*options: str, from_ms: int) -> Maker:
    """The headers of an Ogg file and its pages from `from_ms` on, as a radio station sends them."""

    def made(material: Material, target: Path) -> None:
        whole = material.folder / f"whole-{target.name}"
        make("-i", material.sound, *options, "-page_duration", "20000", whole)
        kept = b""
        for page in ogg_pages(whole.read_bytes()):
            granule = int.from_bytes(page[6:14], "little", signed=True)
            if granule <= 0 or granule > from_ms * 48:
                kept += page
        target.write_bytes(kept)

    return made


def recorded_from(*options: str, from_ms: int) -> Maker:
    """A transport stream as of a recorder that was switched on later, at a key frame."""

    def made(material: Material, target: Path) -> None:
        whole = material.folder / f"whole-{target.name}"
        keys = ["-bf", "0", "-force_key_frames", str(from_ms / 1000), "-pes_payload_size", "0", "-pat_period", "0.05"]
        film(*options, *keys)(material, whole)
        asked = ["-select_streams", "v", "-show_entries", "packet=pts_time,pos", "-of", "csv=p=0"]
        said = subprocess.run(
            ["ffprobe", "-v", "error", *asked, str(whole)], capture_output=True, text=True, check=True
        )
        packets = sorted((float(pts), int(pos)) for pts, pos in (line.split(",")[:2] for line in said.stdout.split()))
        target.write_bytes(whole.read_bytes()[packets[from_ms // FRAME_MS][1] :])

    return made


def ogg_pages(data: bytes) -> list[bytes]:
    """The pages of an Ogg file (RFC 3533)."""
    pages, at = [], 0
    while at < len(data):
        segments = data[at + 26]
        end = at + 27 + segments + sum(data[at + 27 : at + 27 + segments])
        pages.append(data[at:end])
        at = end
    return pages
