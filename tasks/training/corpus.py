"""A labelled speech corpus from text alone: several synthetic voices, speeds and pitches, codecs, noise and room echo.

The voices come from espeak-ng (formant synthesis), flite and festival (diphone, unit and HMM synthesis), whichever of
them is installed. Clips are written as 16 kHz mono FLAC beside `manifest.tsv` (path, text, voice, seconds). Every choice
depends on the seed and the clip's number alone, so a run that was killed goes on where it stopped and ends the same.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from tasks.arrays import Array
from tasks.errors import Misconfigured, MissingTool
from tasks.evaluation.manifest import Problems
from tasks.machine.folders import same_run
from tasks.training.augment import add_echo, add_noise
from tasks.training.lm_text import text_sentences

SPEAKABLE = re.compile(r"(?:[^\W\d_]|[ ,.'’!?;:-])+")
_T = TypeVar("_T")
SAMPLE_RATE = 16_000
TIMEOUT_S = 60
CODECS = (
    ("clean", ()),
    ("mp3", ("-c:a", "libmp3lame", "-b:a", "32k", "-f", "mp3")),
    ("opus", ("-c:a", "libopus", "-b:a", "16k", "-f", "ogg")),
    ("phone", ("-c:a", "pcm_mulaw", "-ar", "8000", "-f", "wav")),
)
# Human-like variants only: the robots and the whispers teach nothing that a listener would say.
ESPEAK_VARIANTS = """
    m1 m2 m3 m4 m5 m6 m7 m8 f1 f2 f3 f4 f5 Alex Alicia Andrea Andy Annie Denis Gene Gene2 Hugo Jacky Lee Marco Mario
    Michael Mike adam anika announcer antonio belinda benjamin boris caleb david ed edward gustave john klatt klatt4
    linda marcelo max michel norbert paul quincy rob robert sandro shelby steph travis victor zac
    """.split()
ESPEAK_ACCENTS = [
    "en-us",
    "en-gb",
    "en-gb-x-rp",
    "en-gb-scotland",
    "en-us-nyc",
    "en-029",
    "en-gb-x-gbclan",
    "en-gb-x-gbcwmd",
]


@dataclass(frozen=True)
class Voice:
    """One synthetic voice: `name` is `engine/voice`, `weight` its share of a corpus."""

    engine: str
    voice: str
    weight: float

    @property
    def name(self) -> str:
        return f"{self.engine}/{self.voice}"


@dataclass(frozen=True)
class Clip:
    """A clip to be made; everything that decides how it sounds."""

    number: int
    text: str
    voice: Voice
    rate: float
    pitch: float
    codec: int
    snr_db: float | None
    echo_s: float | None


def available_voices() -> list[Voice]:
    """The voices of the engines found on this machine.

    Raises:
        MissingTool: none of espeak-ng, flite and festival is installed.
    """
    voices: list[Voice] = []
    if shutil.which("espeak-ng"):
        pairs = [(a, v) for a in ESPEAK_ACCENTS for v in ESPEAK_VARIANTS]
        voices += [Voice("espeak", f"{a}+{v}", 0.5 / len(pairs)) for a, v in pairs]
    if shutil.which("flite"):
        voices += [Voice("flite", v, w) for v, w in (("slt", 0.16), ("rms", 0.16), ("awb", 0.1), ("kal16", 0.06))]
    if shutil.which("text2wave"):
        voices += [
            Voice("festival", v, 0.015) for v in ("cmu_us_slt_arctic_hts", "kal_diphone", "ked_diphone") if _has(v)
        ]
    if not voices:
        raise MissingTool(
            "No speech synthesiser was found.", next="Install one: apt-get install espeak-ng flite festival"
        )
    return voices


def _has(festival_voice: str) -> bool:
    return any(Path("/usr/share/festival/voices").glob(f"*/{festival_voice}"))


def speak(text: str, voice: Voice, *, rate: float = 1.0, pitch: float = 1.0) -> Array:
    """Speak `text`; returns 16 kHz mono samples, float32 in -1 to 1. `rate` 2.0 is twice as fast."""
    with tempfile.TemporaryDirectory(prefix="nightscribe-speak-") as folder:
        source, out = Path(folder, "text.txt"), Path(folder, "speech.wav")
        source.write_text(text, encoding="utf-8")
        _run(_command(voice, source, out, rate, pitch))
        ffmpeg = ["ffmpeg", "-v", "error", "-i", str(out), "-ac", "1", "-ar", str(SAMPLE_RATE), "-f", "s16le", "-"]
        return np.frombuffer(_run(ffmpeg), np.int16).astype(np.float32) / 32768


def _command(voice: Voice, source: Path, out: Path, rate: float, pitch: float) -> list[str]:
    if voice.engine == "espeak":
        speed, level = str(round(160 * rate)), str(round(min(99, max(1, 50 * pitch))))
        return ["espeak-ng", "-v", voice.voice, "-s", speed, "-p", level, "-f", str(source), "-w", str(out)]
    if voice.engine == "flite":
        stretch = f"duration_stretch={1 / rate:.3f}"
        return ["flite", "-voice", voice.voice, "--setf", stretch, "-f", str(source), "-o", str(out)]
    scheme = f"(begin (voice_{voice.voice}) (Parameter.set 'Duration_Stretch {1 / rate:.3f}))"
    return ["text2wave", "-eval", scheme, str(source), "-o", str(out)]


def _run(command: Sequence[str], data: bytes | None = None) -> bytes:
    return subprocess.run(command, input=data, capture_output=True, check=True, timeout=TIMEOUT_S).stdout


def choose_sentences(paths: Sequence[Path], n: int, *, shortest: int, longest: int, seed: int) -> list[str]:
    """`n` different sentences of text files, of `shortest` to `longest` words, all of them if there are fewer.

    Those with digits or symbols are left out: each engine reads them in its own way.

    Raises:
        Misconfigured: a file cannot be read, or has no such sentence.
    """
    found = dict.fromkeys(
        sentence
        for sentence in text_sentences(paths)
        if shortest <= sentence.count(" ") + 1 <= longest and SPEAKABLE.fullmatch(sentence)
    )
    if not found:
        raise Misconfigured("No sentence of these texts can be spoken.", next="Give more text, or other --words.")
    every = list(found)
    picked = np.random.default_rng(seed).permutation(len(every))[:n]
    return [every[int(i)] for i in picked]


def plan_clips(
    texts: Sequence[str], voices: Sequence[Voice], *, seed: int, effects: float = 0.4, start: int = 0
) -> Iterator[Clip]:
    """Choose voice and effects for each text; `effects` is the share of clips with noise, echo or a codec."""
    weights = np.array([voice.weight for voice in voices])
    weights /= weights.sum()
    for number, text in enumerate(texts, start):
        rng = np.random.default_rng((seed, number))
        touched = rng.random() < effects
        yield Clip(
            number,
            text,
            voices[int(rng.choice(len(voices), p=weights))],
            rate=float(rng.uniform(0.8, 1.3)),
            pitch=float(rng.uniform(0.6, 1.5)),
            codec=int(rng.integers(len(CODECS))) if touched else 0,
            snr_db=float(rng.uniform(5, 30)) if touched and rng.random() < 0.6 else None,
            echo_s=float(rng.uniform(0.1, 0.6)) if touched and rng.random() < 0.4 else None,
        )


def render(clip: Clip, path: Path, *, seed: int) -> None:
    """Make one clip as FLAC at `path`, written whole, then renamed."""
    rng = np.random.default_rng((seed, clip.number, 1))
    audio = speak(clip.text, clip.voice, rate=clip.rate, pitch=clip.pitch)
    if clip.echo_s is not None:
        audio = add_echo(audio, clip.echo_s, rng)
    if clip.snr_db is not None:
        audio = add_noise(audio, clip.snr_db, rng)
    pcm = (np.clip(audio / max(1.0, float(np.abs(audio).max(initial=0.0))), -1, 1) * 32767).astype("<i2").tobytes()
    raw = ["-f", "s16le", "-ar", str(SAMPLE_RATE), "-ac", "1"]
    _, options = CODECS[clip.codec]
    source = ["-f", options[-1]] if options else raw
    data = _run(["ffmpeg", "-v", "error", *raw, "-i", "-", *options, "-"], pcm) if options else pcm
    part = path.with_suffix(".part")
    _run(["ffmpeg", "-v", "error", "-y", *source, "-i", "-", "-ar", str(SAMPLE_RATE), "-f", "flac", str(part)], data)
    part.replace(path)


def make_corpus(
    texts: Sequence[str],
    folder: Path,
    *,
    voices: Sequence[Voice],
    seed: int = 0,
    effects: float = 0.4,
    workers: int = 2,
    problems: Problems | None = None,
    on_clip: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Speak every text into `folder`; returns the manifest. A run that was killed goes on.

    A text that an engine cannot say is added to `problems`.

    Raises:
        Misconfigured: `folder` holds another corpus.
    """
    said = hashlib.sha256(json.dumps([list(texts), [voice.name for voice in voices]]).encode()).hexdigest()
    same_run(folder, {"texts_and_voices": said, "seed": seed, "effects": effects})
    problems = problems or Problems()
    audio = folder / "audio"
    audio.mkdir(parents=True, exist_ok=True)
    clips = list(plan_clips(texts, voices, seed=seed, effects=effects))

    def one(clip: Clip) -> dict[str, object] | None:
        path = audio / f"{clip.number:06d}.flac"
        try:
            if not path.exists():
                render(clip, path, seed=seed)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            problems.add(f"{clip.voice.name} could not say", clip.text)
            return None
        seconds = f"{flac_seconds(path):.2f}"
        return {"path": f"audio/{path.name}", "text": clip.text, "voice": clip.voice.name, "seconds": seconds}

    manifest = folder / "manifest.tsv"
    with ThreadPoolExecutor(workers) as pool:
        rows = _counted(pool.map(one, clips), len(clips), on_clip)
        _write_manifest(manifest, [row for row in rows if row is not None])
    return manifest


def flac_seconds(path: Path) -> float:
    """The length of a FLAC file by its first block (RFC 9639, section 8.2): 20 bits of rate, 36 of samples."""
    with path.open("rb") as handle:
        block = handle.read(26)[18:]
    bits = int.from_bytes(block, "big")
    return (bits & 0xFFFFFFFFF) / (bits >> 44)


def _counted(items: Iterable[_T], total: int, on_clip: Callable[[int, int], None]) -> Iterator[_T]:
    for done, item in enumerate(items, 1):
        on_clip(done, total)
        yield item


def _write_manifest(path: Path, rows: Sequence[dict[str, object]]) -> None:
    part = path.with_suffix(".part")
    with part.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, ["path", "text", "voice", "seconds"], delimiter="\t", quoting=csv.QUOTE_NONE)
        writer.writeheader()
        writer.writerows(rows)
    part.replace(path)
