"""Web copies and frames are on the clock of the rows, in sound and in picture."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made_media import SETTINGS
from test_recordings import AVC, LATE, joined
from voices import CUT_S, RATE, number_at, shifts, talk, voice_file

from tasks.media import extract_audio, probe
from tasks.sources.bucket import open_bucket
from tasks.web.cache import FolderCache
from tasks.web.copies import Copies
from tasks.web.media import Original
from tasks.web.pictures import frame

WORST_MS = 80


def late_ts(folder: Path) -> Path:
    return talk(folder / "a.ts", *AVC, late="a")


def late_picture_ts(folder: Path) -> Path:
    return talk(folder / "a.ts", *AVC, late="v")


def late_mpg(folder: Path) -> Path:
    return talk(folder / "a.mpg", *LATE["mpg"], late="a")


def back(folder: Path, container: str = "ts", late: str = "") -> Path:
    parts = [
        talk(folder / f"{n}.{container}", *LATE[container], start_s=start, end_s=end, late=late)
        for n, (start, end) in enumerate(((0.0, CUT_S), (CUT_S, 22.0)))
    ]
    path = joined(folder / f"a.{container}", *parts)
    if container == "flv":
        path.write_bytes(parts[0].read_bytes() + parts[1].read_bytes()[13:])
    return path


def gap(folder: Path) -> Path:
    a = talk(folder / "0.ts", *AVC, end_s=CUT_S)
    b = talk(folder / "1.ts", *AVC, "-output_ts_offset", str(CUT_S + 20), start_s=CUT_S)
    return joined(folder / "a.ts", a, b)


def offset_mp4(folder: Path) -> Path:
    return talk(folder / "a.mp4", *AVC, "-output_ts_offset", "5")


def offset_webm(folder: Path) -> Path:
    return talk(
        folder / "a.webm",
        "-c:v",
        "libvpx",
        "-b:v",
        "1M",
        "-deadline",
        "realtime",
        "-c:a",
        "libopus",
        "-output_ts_offset",
        "100",
    )


def changes(folder: Path) -> Path:
    a = voice_file(folder / "0.aac", "-ac", "2", end_s=CUT_S)
    return joined(folder / "a.aac", a, voice_file(folder / "1.aac", "-ac", "1", "-ar", "24000", start_s=CUT_S))


def plain(folder: Path) -> Path:
    return talk(folder / "a.mkv", "-c:v", "mpeg4", "-q:v", "3", "-c:a", "flac")


# By kind: how it is made, by how many seconds its sound and its picture are later at a second of the talk.
KINDS: dict[str, tuple[Callable[[Path], Path], Callable[[float], float], Callable[[float], float] | None]] = {
    "plain": (plain, lambda at: 0, lambda at: 0),
    "late sound, TS": (late_ts, lambda at: 4, lambda at: 0),
    "late picture, TS": (late_picture_ts, lambda at: 0, lambda at: 4),
    "late sound, PS": (late_mpg, lambda at: 4, lambda at: 0),
    "joined TS": (back, lambda at: 0, lambda at: 0),
    "joined PS": (lambda folder: back(folder, "mpg"), lambda at: 0, lambda at: 0),
    "joined FLV": (lambda folder: back(folder, "flv"), lambda at: 0, lambda at: 0),
    **{
        f"joined {container}, late sound in both parts": (
            lambda folder, container=container: back(folder, container, "a"),
            lambda at: 8 if at > CUT_S else 4,
            lambda at: 4 if at > CUT_S else 0,
        )
        for container in ("ts", "mpg", "flv")
    },
    "gap of 20 s, TS": (gap, lambda at: 20 * (at > CUT_S), lambda at: 20 * (at > CUT_S)),
    "MP4 that begins at 5 s": (offset_mp4, lambda at: 5, lambda at: 5),
    "WebM that begins at 100 s": (offset_webm, lambda at: 0, lambda at: 0),
    "ADTS that changes": (changes, lambda at: 0, None),
}


def sound_of(path: Path) -> np.ndarray:
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-i",
        str(path),
        "-af",
        "aresample=async=1:first_pts=0",
        "-ar",
        str(RATE),
        "-ac",
        "1",
        "-f",
        "s16le",
        "-",
    ]
    heard = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(heard, np.int16).astype(np.float32)


OFTEN = {
    "plain",
    "late sound, TS",
    "late picture, TS",
    "joined flv, late sound in both parts",
    "ADTS that changes",
}


@pytest.mark.parametrize(
    "kind", [kind if kind in OFTEN else pytest.param(kind, marks=pytest.mark.long) for kind in KINDS]
)
def test_copy_and_frames_are_where_the_rows_are(kind: str, tmp_path: Path):
    make, sound_s, picture_s = KINDS[kind]
    (tmp_path / "bucket").mkdir()
    path = make(tmp_path / "bucket")
    audio = extract_audio(path, probe(path, SETTINGS), tmp_path / "a.pcm", SETTINGS)
    row = {"duration_ms": audio.duration_ms + 4000, "audio_track": 0, "clock": audio.clock}
    bucket = open_bucket(str(tmp_path / "bucket"), SETTINGS)
    found = bucket.stat(path.name)
    original = Original(bucket, path.name, found.size_bytes, found.fingerprint, "an-object")
    cache, fetched = (FolderCache(tmp_path / name, most_mb=500) for name in ("cache", "fetched"))

    def frames() -> None:
        if picture_s is None:
            return
        for at in (1, 6, 9, 13, 18, 20):
            shown = number_at(frame(original, row, 1000 * round(at + picture_s(at)), cache, fetched, SETTINGS))
            assert abs(shown - (25 * at) % 200) <= 2, (at, shown)

    frames()
    copies = Copies(cache, fetched, SETTINGS)
    try:
        state = copies.ask(original, row)
        while state.state in ("waiting", "making"):
            time.sleep(0.1)
            state = copies.state(original)
        assert (state.state, state.error) == ("ready", None)
        copy = copies.find(original)
    finally:
        copies.close()
    pieces = [piece for piece in shifts(sound_of(copy)) if not piece[0] < CUT_S < piece[0] + 0.8]
    assert len(pieces) > 10
    for at, ms, alike in pieces:
        assert alike > 0.5
        assert abs(ms - 1000 * sound_s(at)) <= WORST_MS + 10, (at, ms)
    if picture_s is not None:
        for at in (1.0, 6.0, 9.0, 13.0, 18.0, 20.0):
            shown = number_at(copy, "-ss", str(at + picture_s(at)))
            assert abs(shown - (25 * at) % 200) <= 2, (at, shown)
        for kept in cache.folder.glob("*.jpg"):
            kept.unlink()
        frames()  # from the copy, where the file itself leads nowhere
