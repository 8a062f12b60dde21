"""Does this machine's GPU give the CPU's words, and how fast is it? One run of less than ten minutes; prints a table.

    python tools/gpu_check.py
    python tools/gpu_check.py --device cpu --minutes 1      a trial of the script itself, without a GPU

1. The demo models in fp32 on the CPU and in bf16 and fp16 on the GPU: the same words.
2. Memory that runs out halves the batch, and the words stay the same.
3. wav2vec2-base's shape from samples to the best token of each frame, beside the pipeline of transformers.
4. The same with the beam search and its language model, on all cores.
5. The shape of Parakeet CTC 0.6b beside the pipeline.

Exits with 1 where words differ by more than one in a hundred.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import torch

from nightscribe.bench.material import audio_of, base_model, cut_up, looped, talks
from nightscribe.bench.shapes import parakeet_beside
from nightscribe.bench.speech import Scripted
from nightscribe.bench.table import Table
from tasks.evaluation.asr import utterances_of
from tasks.models.catalog import find_set
from tasks.models.load import BatchSize
from tasks.records import Audio
from tasks.settings import Settings
from tasks.speech.acoustic import AcousticModel, load_acoustic
from tasks.speech.decode import greedy_words
from tasks.speech.pool import DecoderPool, gather
from tasks.stages.words.search import spec_of, splitter_of

SETTINGS = Settings(scratch_free_gb=0.0)
MOST_OTHER = 0.01  # of the words


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--minutes", type=float, default=120.0, help="of sound to measure speed with")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        print("This machine has no GPU that torch can use. For a trial of this script: --device cpu", file=sys.stderr)
        return 2
    on_gpu = options.device == "cuda"
    card = torch.cuda.get_device_name(0) if on_gpu else "no GPU"
    table = Table("gpu_check", f"On a GPU: {card}", ("", "found"), settings=f"{options.minutes:g} minutes of speech")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        wrong = same_words(table, options.device, ["bf16", "fp16"] if on_gpu else ["fp32"], folder)
        wrong |= halves(table, options.device, folder)
        sound = looped([talk.path for talk in talks()], folder / "talk.m4a", minutes=options.minutes)
        audio = cut_up(sound, folder, seconds=20)
        base_beside(table, options.device, audio, folder)
        ours, theirs = parakeet_beside(audio, "bf16" if on_gpu else "fp32", folder, device=options.device)
        speeds(table, "Parakeet CTC 0.6b's shape, greedy", audio, ours, theirs)
    print(table.markdown(full=False).replace("nightscribe bench gpu_check", "python tools/gpu_check.py"))
    return int(wrong)


def speeds(table: Table, what: str, audio: Audio, ours: float, theirs: float | None = None) -> None:
    seconds = audio.samples / 16_000
    beside = f", {theirs / ours:.1f} times the pipeline's {seconds / theirs:,.0f}" if theirs else ""
    table.add(what, f"{seconds / ours:,.0f} times real time{beside}")


def same_words(table: Table, device: str, precisions: list[str], folder: Path) -> bool:
    """Words by the GPU beside those by the CPU; whether too many differ."""
    chosen = find_set(SETTINGS)
    audios = [audio_of(talk.path, folder, SETTINGS) for talk in talks()]
    true = texts(load_acoustic(chosen.acoustic.path, device="cpu", precision="fp32"), audios)
    wrong = False
    for precision in precisions:
        model = load_acoustic(chosen.acoustic.path, device=device, precision=precision)
        other = jiwer.wer(true, texts(model, audios))
        wrong |= other > MOST_OTHER
        table.add(f"words of the demo model in {precision} that differ from fp32 on the CPU", f"{other:.2%}")
    return wrong


def texts(model: AcousticModel, audios: list[Audio]) -> list[str]:
    """Greedy words of each."""
    return [
        " ".join(
            word.word
            for utterance in utterances
            for word in greedy_words(utterance, model.labels, model.blank, model.frame_ms)
        )
        for utterances in utterances_of(model, audios, SETTINGS)
    ]


def halves(table: Table, device: str, folder: Path) -> bool:
    """Far too large a batch on a card of which little may be used: it is halved until it fits. Whether words differ, or it is not."""
    chosen = find_set(SETTINGS)
    model = load_acoustic(chosen.acoustic.path, device=device)
    audios = [audio_of(talk.path, folder, SETTINGS) for talk in talks()] * 8
    with little_memory(device):
        small = replace(model, batch=BatchSize(256))
        found = texts(small, audios)
    table.add("batch of 256 windows, little memory: halved to", str(small.batch.items))
    other: float = jiwer.wer(texts(model, audios), found)
    return other > MOST_OTHER or (device == "cuda" and small.batch.items == 256)


@contextmanager
def little_memory(device: str) -> Iterator[None]:
    """One gigabyte of the card more than is in use; on a CPU nothing is done."""
    if device != "cuda":
        yield
        return
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, (torch.cuda.memory_reserved() + 2**30) / total))
    try:
        yield
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def base_beside(table: Table, device: str, audio: Audio, folder: Path) -> None:
    """wav2vec2-base's shape: greedy, with the beam search, and the pipeline."""
    from transformers import pipeline as transformers_pipeline

    path = base_model(folder / "base")
    precision = "bf16" if device == "cuda" else "fp32"
    model = load_acoustic(path, device=device, precision=precision)
    warm = model.inputs.window(audio, 0, model.geometry.samples(model.geometry.window))
    model.infer(np.stack([warm] * model.batch.items))

    def greedy() -> None:
        for _, log_probs in model.emissions([audio]):
            log_probs.argmax(axis=1)

    ours = timed(greedy)
    made: Any = transformers_pipeline(
        "automatic-speech-recognition",
        model=path,
        device=device,
        dtype=model.dtype,
        chunk_length_s=20,
        batch_size=model.batch.items,
    )
    wave = np.fromfile(audio.path, np.int16, count=audio.samples).astype(np.float32) / 32768
    made({"raw": wave[: 20 * 16_000].copy(), "sampling_rate": 16_000})
    theirs = timed(lambda: made({"raw": wave, "sampling_rate": 16_000}))
    speeds(table, f"wav2vec2-base's shape, greedy, {precision}", audio, ours, theirs)
    cores = len(os.sched_getaffinity(0))
    speeds(table, f"the same, beam search and language model, {cores} cores", audio, searched(model, audio, cores))


def searched(model: AcousticModel, audio: Audio, cores: int) -> float:
    """Seconds with the beam search, which is given what the demo model says of the sound."""
    chosen = find_set(SETTINGS)
    speaker = load_acoustic(chosen.acoustic.path)
    said = np.concatenate([piece for _, piece in speaker.emissions([audio])])
    said = np.repeat(said, max(1, speaker.geometry.stride // model.geometry.stride), axis=0)
    scripted: Any = Scripted(model, np.concatenate((said, said[-1000:])), speaker)
    pool = DecoderPool(spec_of(chosen, SETTINGS, speaker), frame_ms=20.0, processes=max(1, cores - 1))
    for started in [pool.submit([]) for _ in range(pool.processes)]:
        started.result()

    def run() -> None:
        splitter = splitter_of(scripted, SETTINGS)
        waiting = []
        for _, piece in scripted.emissions([audio]):
            if utterances := splitter.push(piece):
                waiting.append(pool.submit(utterances))
        waiting.append(pool.submit(splitter.finish()))
        assert gather(waiting), "there must be words"

    try:
        return timed(run)
    finally:
        pool.close()


def timed(work: Callable[[], Any]) -> float:
    started = time.monotonic()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.monotonic() - started


if __name__ == "__main__":
    raise SystemExit(main())
