"""A voice for files that tests make, and where it is found again in what was decoded of them."""

from __future__ import annotations

import functools
import subprocess
from pathlib import Path

import numpy as np
from conftest import BUCKET
from made_media import make
from scipy.signal import oaconvolve

RATE = 16_000
VOICE_S = 22.0
CUT_S = 9.6  # between two words
SOURCE = BUCKET / "entertainment" / "film-festival.mkv"


@functools.cache
def voice() -> np.ndarray:
    """22 seconds of speech, float32 at 16 kHz."""
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-t",
        str(VOICE_S),
        "-i",
        SOURCE,
        "-ac",
        "1",
        "-ar",
        str(RATE),
        "-f",
        "s16le",
        "-",
    ]
    heard = subprocess.run(list(map(str, command)), capture_output=True, check=True).stdout
    return np.frombuffer(heard, np.int16).astype(np.float32)


def voice_file(path: Path, *options: str, start_s: float = 0.0, end_s: float = VOICE_S) -> Path:
    """A part of the voice in a file."""
    make("-ss", str(start_s), "-t", str(end_s - start_s), "-i", SOURCE, "-map", "0:a", "-ar", "48000", *options, path)
    return path


def talk(
    path: Path, *options: str, start_s: float = 0.0, end_s: float = VOICE_S, late: str = "", late_s: float = 4.0
) -> Path:
    """A part of the voice with a picture; `late` is the stream that begins later, `a` or `v`."""
    sound = voice_file(path.with_name("voice.wav"), start_s=start_s, end_s=end_s)
    picture = ["-f", "lavfi", "-i", f"color=black:s=2x2:r=25:d={end_s - start_s},{numbered(start_s)},scale=160:90"]
    shifted = {stream: ["-itsoffset", str(late_s)] if stream == late else [] for stream in "av"}
    make(*shifted["v"], *picture, *shifted["a"], "-i", sound, "-map", "0:v", "-map", "1:a", "-g", "25", *options, path)
    return path


def numbered(start_s: float = 0.0) -> str:
    """A filter that makes frame n of the whole talk as bright as `n % 200`."""
    return f"geq=lum='20+mod(N+{round(25 * start_s)}\\,200)':cb=128:cr=128"


def number_at(path: Path, *seek: str) -> int:
    """Which frame of the talk the first picture of a file is, modulo 200; ffmpeg's own options may lead to another one."""
    command = [
        "ffmpeg",
        "-v",
        "error",
        *seek,
        "-i",
        path,
        "-map",
        "0:v:0",
        "-frames:v",
        "1",
        "-pix_fmt",
        "yuv420p",
        "-f",
        "rawvideo",
        "-",
    ]
    shown = subprocess.run(list(map(str, command)), capture_output=True, check=True).stdout
    width_height = len(shown) * 2 // 3  # of yuv420p, brightness first
    return round(float(np.frombuffer(shown[:width_height], np.uint8).mean())) - 20


def shifts(heard: np.ndarray, *, every_s: float = 1.5, piece_s: float = 0.8) -> list[tuple[float, int, float]]:
    """Where pieces of the voice are in a recording: (second of the voice, ms by which it is later there, likeness 0 to 1)."""
    reference, found = voice(), []
    sound = heard.astype(np.float32)
    energy = np.concatenate([[0.0], np.cumsum(heard.astype(np.float64) ** 2)])
    at = 0.5
    while at + piece_s < VOICE_S - 0.3:
        piece = reference[int(at * RATE) : int((at + piece_s) * RATE)]
        alike = oaconvolve(sound, piece[::-1])[len(piece) - 1 :][: len(heard)]
        ends = np.minimum(np.arange(len(heard)) + len(piece), len(heard))
        local = np.sqrt(energy[ends] - energy[: len(heard)] + 1e4 * len(piece))
        score = np.abs(alike) / local / float(np.linalg.norm(piece) + 1e-9)
        best = int(np.argmax(score))
        if np.abs(piece).mean() > 100:  # not a pause
            found.append((at, round(1000 * (best / RATE - at)), float(score[best])))
        at += every_s
    return found
