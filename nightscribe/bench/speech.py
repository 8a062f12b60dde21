"""Video file to cues with wav2vec2-base, beside the ASR pipeline of transformers on the same file."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nightscribe.bench.material import base_model, cut_up, half_silent, looped, talks
from nightscribe.bench.shapes import parakeet_beside
from nightscribe.bench.table import Table
from tasks.arrays import Array
from tasks.lake.store import Lake
from tasks.machine.hardware import cpu_has_bf16
from tasks.models.catalog import find_set
from tasks.records import Audio, VideoTask
from tasks.runs import pipeline
from tasks.runs.pipeline import Batch, Pipeline
from tasks.settings import Settings
from tasks.speech.acoustic import AcousticModel, load_acoustic
from tasks.speech.decode import UtteranceSplitter
from tasks.stages.recipes import recipes
from tasks.stages.registry import STAGES


@dataclass
class Scripted:
    """The work of one model with the output of another.

    wav2vec2-base with random weights does the computing; what the demo model says of the same sound goes to the beam
    search, which thereby has as much to do as with a trained model.
    """

    worker: AcousticModel
    said: Array
    speaker: AcousticModel

    @property
    def geometry(self) -> Any:
        return self.worker.geometry

    @property
    def labels(self) -> tuple[str, ...]:
        return self.speaker.labels

    @property
    def blank(self) -> int:
        return self.speaker.blank

    @property
    def frame_ms(self) -> float:
        return self.worker.frame_ms

    def splitter(self, *, gap_s: float, longest_s: float) -> UtteranceSplitter:
        return replace(self.worker, blank=self.blank).splitter(gap_s=gap_s, longest_s=longest_s)

    def emissions(self, audios: Sequence[Audio], silences: Sequence[Any] | None = None) -> Iterator[tuple[int, Array]]:
        at = 0
        for number, piece in self.worker.emissions(audios, silences):
            yield number, self.said[at : at + len(piece)]
            at += len(piece)


def bench(*, full: bool) -> Table:
    """Real time factors; the audio is the sample archive's speech."""
    minutes = 10.0 if full else 2.0
    table = Table(
        "speech",
        "From video file to subtitles with wav2vec2-base, and from sound to tokens with the shape of Parakeet CTC 0.6b",
        ("", "precision", "seconds", "times real time"),
        settings=f"{minutes:g} minutes of the sample archive's speech; for wav2vec2-base decoding of the file included",
    )
    precisions = ["fp32", *(["bf16"] if cpu_has_bf16() else [])]
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        video = looped([talk.path for talk in talks()], folder / "talk.m4a", minutes=minutes)
        half = half_silent(video, folder / "half.m4a", minutes=minutes)
        model = base_model(folder / "base")
        for precision in precisions:
            spent = _ours(video, model, precision, folder)
            _row(table, "Nightscribe, beam search and language model", "ours", precision, spent, minutes)
            spent = _transformers(video, model, precision)
            _row(table, "transformers pipeline, greedy, `chunk_length_s=20`", "pipeline", precision, spent, minutes)
            spent = _ours(half, model, precision, folder)
            _row(table, "Nightscribe, half of it silence", "half_silent", precision, spent, minutes)
        pieces = cut_up(video, folder, seconds=20)
        for precision in precisions:
            ours, theirs = parakeet_beside(pieces, precision, folder)
            _row(table, "Parakeet's shape, Nightscribe, greedy", "parakeet_ours", precision, ours, minutes)
            _row(
                table, "the same, transformers pipeline, 20 s at once", "parakeet_pipeline", precision, theirs, minutes
            )
    return table


def _row(table: Table, what: str, key: str, precision: str, spent: float, minutes: float) -> None:
    table.add(what, precision, f"{spent:.1f}", f"{60 * minutes / spent:.1f}")
    table.figures[f"{key}_{precision}"] = round(60 * minutes / spent, 2)


def _ours(video: Path, model: str, precision: str, folder: Path) -> float:
    settings = Settings(scratch=folder, scratch_free_gb=0.0, lake=str(folder / "lake"))
    chosen = find_set(settings)
    info = video.stat()
    work = VideoTask(
        "0" * 20, video.name, info.st_size, f"{info.st_size}-{info.st_mtime_ns}", None, None, None, "new", STAGES.names
    )

    def run() -> Pipeline:
        from tasks.sources.bucket import open_bucket

        bucket = open_bucket(str(folder), settings)
        made = Pipeline(bucket, Lake(settings.lake), settings, chosen, recipes(chosen, settings), "bench")
        made.scratch.mkdir(exist_ok=True)
        return made

    demo = run()
    batch = pipeline.prepare(demo, Batch(0, [work]))
    audio = batch.items[0].hearings[0].audio
    assert audio is not None
    said = np.concatenate([piece for _, piece in demo.acoustic.emissions([audio])])
    timed = run()
    worker = load_acoustic(model, precision=precision, skip_silence=True)
    blank = np.full((64, said.shape[1]), -20.0, np.float32)
    blank[:, demo.acoustic.blank] = 0.0
    # The demo model may have longer frames: each is said as often as the worker has frames in that time.
    said = np.repeat(said, demo.acoustic.geometry.stride // worker.geometry.stride, axis=0)
    timed.__dict__["acoustic"] = Scripted(worker, np.concatenate((said, blank)), demo.acoustic)
    timed.pool().submit([]).result()  # the decoders are started once a run
    worker.infer(np.zeros((1, worker.geometry.samples(worker.geometry.window)), np.float32))
    started = time.monotonic()
    done = pipeline.finish(timed, pipeline.compute_emissions(timed, pipeline.prepare(timed, Batch(1, [work]))))
    spent = time.monotonic() - started
    assert done.items[0].result is not None
    assert done.items[0].result.outcomes["cues"].rows["cues"], "there must be subtitles"
    timed.close()
    return spent


def _transformers(video: Path, model: str, precision: str) -> float:
    import torch
    from transformers import pipeline as transformers_pipeline

    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    made: Any = transformers_pipeline("automatic-speech-recognition", model=model, dtype=dtype, chunk_length_s=20)
    made({"raw": np.zeros(16_000 * 20, np.float32), "sampling_rate": 16_000})
    started = time.monotonic()
    made(str(video))
    return time.monotonic() - started
