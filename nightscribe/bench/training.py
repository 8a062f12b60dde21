"""Training speed: seconds of sound a second, beside a plain Trainer of transformers with padding on the same clips."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from nightscribe.bench.material import audio_of, base_model, talks
from nightscribe.bench.table import Table
from tasks.evaluation.manifest import Problems
from tasks.machine.hardware import cpu_has_bf16
from tasks.settings import Settings
from tasks.training.asr import Trainer
from tasks.training.base_model import load_for_training
from tasks.training.clips import SAMPLE_RATE, ClipStore
from tasks.training.options import TrainingOptions

LETTERS_A_SECOND = 14
WARM = 2  # steps before the clock starts
BATCH = 4  # clips, as the reference work has it


def bench(*, full: bool) -> Table:
    """wav2vec2-base with random weights and a frozen feature encoder; speed does not depend on weights."""
    steps = 24 if full else 8
    table = Table(
        "training",
        "Fine-tuning wav2vec2-base",
        ("", "precision", "seconds of sound a second"),
        settings=f"{steps} steps of {BATCH} clips of 1 to 12 s, the sample archive's speech, encoder frozen",
    )
    precisions = ("bf16", "fp32") if cpu_has_bf16() or torch.cuda.is_available() else ("fp32",)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        clips = _clips(folder, 8 * BATCH * steps)
        base = base_model(folder / "base")
        for precision in precisions:
            speed = _ours(base, clips, folder / precision, precision, steps)
            table.add("Nightscribe, clips of similar length", precision, f"{speed:.1f}")
            table.figures[f"ours_{precision}"] = round(speed, 2)
        for precision in reversed(precisions):
            speed = _plain(base, clips, folder / f"plain-{precision}", precision, steps)
            table.add("transformers Trainer, shuffled, padded", precision, f"{speed:.1f}")
            table.figures[f"trainer_{precision}"] = round(speed, 2)
    return table


def _clips(folder: Path, n: int) -> ClipStore:
    """Stretches of the talks, of the lengths that read speech has, with as many letters as such stretches have."""
    settings = Settings(scratch_free_gb=0.0)
    samples = np.concatenate([np.fromfile(audio_of(t.path, folder, settings).path, np.int16) for t in talks()])
    rng = np.random.default_rng(0)
    lengths = (np.clip(rng.lognormal(1.6, 0.5, n), 1.0, 12.0) * SAMPLE_RATE).astype(np.int64)
    offsets = rng.integers(0, len(samples) - 12 * SAMPLE_RATE, n)
    texts = ["a bright day " * 30] * n
    texts = [text[: int(m / SAMPLE_RATE * LETTERS_A_SECOND)].strip() for text, m in zip(texts, lengths, strict=True)]
    return ClipStore(samples, offsets, lengths, texts, [str(i) for i in range(n)], Problems())


def _ours(base: str, clips: ClipStore, folder: Path, precision: Any, steps: int) -> float:
    options = TrainingOptions(
        max_steps=steps + WARM, batch_size=BATCH, validate_every=10**6, precision=precision, augmentation=None
    )
    model, processor = load_for_training(base)
    trainer = Trainer(model, processor, clips, clips.only(range(BATCH)), folder, options)
    times: list[float] = []
    heard: list[float] = []
    real = trainer.train_step

    def timed(step: int, batch: Any) -> float:
        loss = real(step, batch)
        times.append(time.monotonic())
        heard.append(batch.seconds)
        return loss

    trainer.train_step = timed  # type: ignore[method-assign]
    trainer.fit()
    return sum(heard[WARM:]) / (times[-1] - times[WARM - 1])


def _plain(base: str, clips: ClipStore, folder: Path, precision: str, steps: int) -> float:
    from transformers import Trainer as Plain
    from transformers import TrainerCallback, TrainingArguments

    model, processor = load_for_training(base)
    model.freeze_feature_encoder()
    heard: list[float] = []

    def collate(rows: list[int]) -> dict[str, Any]:
        heard.append(float(sum(clips.lengths[i] for i in rows)) / SAMPLE_RATE)
        made = processor(
            audio=[clips.audio(i) for i in rows], sampling_rate=SAMPLE_RATE, padding=True, return_tensors="pt"
        )
        targets = processor.tokenizer([clips.texts[i] for i in rows], padding=True, return_tensors="pt")
        labels = targets.input_ids.masked_fill(targets.attention_mask.ne(1), -100)
        return {**made, "labels": labels}

    times: list[float] = []

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, *_: Any, **__: Any) -> None:
            times.append(time.monotonic())

    arguments = TrainingArguments(
        output_dir=str(folder),
        per_device_train_batch_size=BATCH,
        max_steps=steps + WARM,
        bf16=precision == "bf16",
        use_cpu=not torch.cuda.is_available(),
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        logging_strategy="no",
        remove_unused_columns=False,
    )
    plain = Plain(
        model=model,
        args=arguments,
        data_collator=collate,
        train_dataset=list(range(len(clips))),
        callbacks=[Clock()],
    )
    plain.train()
    return sum(heard[WARM : steps + WARM]) / (times[-1] - times[WARM - 1])
