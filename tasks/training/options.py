"""Settings of a speech training run, and what it tells while it goes on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from tasks.training.augment import Augmentation


@dataclass(frozen=True)
class TrainingOptions:
    """Settings of a run; the defaults are those of the reference work (wav2vec2 on Mini LibriSpeech).

    `head_learning_rate`, `layer_decay` and `freeze_layers` are of `tasks.training.groups`,
    `consistency` weighs what two views of a clip disagree (`tasks.training.losses`), `mask_time` is the share of frames that
    SpecAugment masks (None: as the model has it), `mask_bands` is how many bands of frequencies are silenced in a clip, of its
    waveform or, for Whisper, of its mel features
    (`tasks.training.masks`), `average` is how many of the last validated checkpoints are averaged at the end, `half` keeps
    the best model in fp16.
    """

    learning_rate: float = 1e-4
    head_learning_rate: float | None = None
    layer_decay: float = 1.0
    weight_decay: float = 0.005
    warmup_steps: int = 1000
    max_steps: int = 10_000
    decay_steps: int | None = None
    batch_size: int = 4
    batch_s: float | None = None
    validate_every: int = 500
    patience: int = 10
    seed: int = 0
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    freeze_feature_encoder: bool = True
    freeze_layers: int = 0
    gradient_checkpointing: bool = False
    intermediate_ctc: float = 0.0
    consistency: float = 0.0
    mask_time: float | None = None
    mask_bands: int | None = None
    clip_norm: float = 1.0
    average: int = 0
    half: bool = False
    augmentation: Augmentation | None = field(default_factory=Augmentation)


@dataclass(frozen=True)
class Progress:
    """What a progress bar or a log line is made from."""

    step: int
    epoch: int
    loss: float
    learning_rate: float
    audio_per_s: float
    wer: float | None = None
    cer: float | None = None


def learning_rate_at(step: int, options: TrainingOptions) -> float:
    """Linear warm-up, then constant, then linear to zero over the last `decay_steps` (all after the warm-up, if None)."""
    rate = options.learning_rate * min(1.0, (step + 1) / max(1, options.warmup_steps))
    decay = options.max_steps - options.warmup_steps if options.decay_steps is None else options.decay_steps
    return rate * max(0.0, min(1.0, (options.max_steps - step) / decay)) if decay > 0 else rate
