"""Damaged variants of small media files through probe and audio: no crash, no hang, a reason for each.

Seeded: a failure names its variant, and the same variant is made again. `--long` makes 2,500, without it 120.
"""

from __future__ import annotations

import random
import subprocess
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from conftest import BUCKET, TESTDATA

from tasks.errors import Permanent, Transient
from tasks.media import extract_audio, probe
from tasks.settings import Settings

SETTINGS = Settings(
    scratch_free_gb=0.0, probe_timeout_s=20.0, audio_stall_s=20.0, max_duration_h=0.5, media_memory_mb=2048
)
LONGEST_S = 60.0  # for one variant; two of them share two cores with their ffmpeg
LARGEST = 200_000
# fmt: off
CODECS = {
    "aac.mp4": ["-c:a", "aac"], "alac.m4a": ["-c:a", "alac"], "mp3.mp3": ["-c:a", "libmp3lame"], "opus.webm": ["-c:a", "libopus"],
    "vorbis.ogg": ["-c:a", "libvorbis"], "flac.flac": ["-c:a", "flac"], "pcm.wav": ["-c:a", "pcm_s16le"], "ac3.ts": ["-c:a", "ac3"],
    "wma.asf": ["-c:a", "wmav2"], "adpcm.avi": ["-c:a", "adpcm_ms"], "mp2.mpg": ["-c:a", "mp2"], "pcm.aiff": [], "au.au": [],
    "aac.flv": ["-c:a", "aac"], "eac3.mkv": ["-c:a", "eac3"], "pcm.caf": [],
}
# fmt: on


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> dict[str, bytes]:
    """Two seconds of speech in many containers and codecs, and what small media there are by other people."""
    folder = tmp_path_factory.mktemp("sources")
    found: dict[str, bytes] = {}
    speech = BUCKET / "sport" / "cup-final.mov"
    for name, options in CODECS.items():
        command = ["ffmpeg", "-v", "error", "-ss", "1", "-t", "2", "-i", speech, "-vn", *options, folder / name]
        subprocess.run(list(map(str, command)), check=True, stdin=subprocess.DEVNULL)
        found[name] = (folder / name).read_bytes()
    command = ["ffmpeg", "-v", "error", "-t", "2", "-i", speech, "-vf", "scale=64:48", "-c:v", "mpeg4", "-c:a", "aac"]
    subprocess.run([*map(str, command), str(folder / "video.mp4")], check=True, stdin=subprocess.DEVNULL)
    found["video.mp4"] = (folder / "video.mp4").read_bytes()
    if TESTDATA.is_dir():
        small = [p for p in sorted((TESTDATA / "media").iterdir()) if 0 < p.stat().st_size < LARGEST]
        found |= {p.name: p.read_bytes() for p in small if p.suffix not in (".vtt", ".tsv", ".txt", ".json")}
    return found


def mutate(data: bytes, others: list[bytes], rng: random.Random) -> tuple[str, bytes]:
    """One kind of damage, or two."""
    kinds = rng.sample(list(DAMAGE), k=rng.choice((1, 1, 2)))
    out = bytearray(data)
    for kind in kinds:
        DAMAGE[kind](out, others, rng)
    return "+".join(kinds), bytes(out[: 4 * LARGEST])


def _place(data: bytearray, rng: random.Random) -> int:
    """Often near the head, where the structure is."""
    return rng.randrange(min(len(data), 600)) if rng.random() < 0.5 else rng.randrange(len(data))


def _flip(data: bytearray, _: list[bytes], rng: random.Random) -> None:
    for _n in range(rng.choice((1, 4, 30))):
        data[_place(data, rng)] ^= 1 << rng.randrange(8)


def _extreme(data: bytearray, _: list[bytes], rng: random.Random) -> None:
    at = _place(data, rng)
    data[at : at + 4] = rng.choice(
        (b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x00\x00\x00\x00", b"\x80\x00\x00\x00", b"\xff\xff\xff\x7f")
    )


def _cut(data: bytearray, _: list[bytes], rng: random.Random) -> None:
    del data[_place(data, rng) + 1 :]


def _remove(data: bytearray, _: list[bytes], rng: random.Random) -> None:
    at = _place(data, rng)
    del data[at : at + rng.choice((1, 16, 1000))]
    data += b"\0" * (not data)


def _repeat(data: bytearray, _: list[bytes], rng: random.Random) -> None:
    at = _place(data, rng)
    data[at:at] = data[at : at + rng.choice((8, 200, 5000))] * rng.choice((1, 3, 50))


def _insert(data: bytearray, _: list[bytes], rng: random.Random) -> None:
    at = _place(data, rng)
    data[at:at] = rng.randbytes(rng.choice((1, 7, 4096)))


def _zero(data: bytearray, _: list[bytes], rng: random.Random) -> None:
    at, n = _place(data, rng), rng.choice((4, 64, 2000))
    data[at : at + n] = b"\0" * len(data[at : at + n])


def _graft(data: bytearray, others: list[bytes], rng: random.Random) -> None:
    other = rng.choice(others)
    data[_place(data, rng) :] = other[rng.randrange(len(other)) :]
    data += b"\0" * (not data)


DAMAGE = {
    "flip": _flip,
    "extreme": _extreme,
    "cut": _cut,
    "remove": _remove,
    "repeat": _repeat,
    "insert": _insert,
    "zero": _zero,
    "graft": _graft,
}


def test_every_damaged_variant_is_heard_or_has_a_reason(sources, tmp_path: Path, long: bool):
    count = 2500 if long else 120
    names, contents = list(sources), list(sources.values())

    def one(number: int) -> tuple[str, str]:
        rng = random.Random(number)
        name = names[number % len(names)]
        kind, data = mutate(sources[name], contents, rng)
        label = f"{number} ({kind} of {name})"
        path, target = tmp_path / f"{number}-{name}", tmp_path / f"{number}.pcm"
        path.write_bytes(data)
        started = time.monotonic()
        try:
            found = probe(path, SETTINGS)
            outcome = "no audio"
            if found.tracks:
                audio = extract_audio(path, found, target, SETTINGS)
                assert target.stat().st_size == 2 * audio.samples, label
                assert audio.samples <= SETTINGS.max_duration_h * 3600 * 16_000, label
                outcome = "cut" if audio.incomplete else "heard"
        except (Permanent, Transient) as error:
            outcome = error.reason if str(error) else "crash: no message"
        except Exception as error:
            return label, f"crash: {type(error).__name__}: {error}"
        finally:
            path.unlink()
            target.unlink(missing_ok=True)
        spent = time.monotonic() - started
        return label, outcome if spent < LONGEST_S else f"crash: took {spent:.0f} s"

    with ThreadPoolExecutor(2) as threads:
        outcomes = dict(threads.map(one, range(count)))
    assert {label: said for label, said in outcomes.items() if said.startswith("crash")} == {}
    counts = Counter(outcomes.values())
    assert counts["heard"] > count // 10, counts
    assert sum(n for reason, n in counts.items() if reason not in ("heard", "cut", "no audio")) > count // 10, counts
    assert set(counts) <= {"heard", "cut", "no audio", "not_media", "corrupt", "truncated", "unsupported_codec",
                           "encrypted", "too_long", "timeout"}, counts  # fmt: skip
    left = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert str(tmp_path) not in left
