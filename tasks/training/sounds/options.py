"""Settings of a training run over sounds and captions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Masking = Literal["none", "1d", "2d"]


@dataclass(frozen=True)
class SoundTraining:
    """The defaults are those of FLAP (Yeh et al. 2023), but for the size of a batch.

    `masking` drops patches: `1d` the share `mask` of all of them, `2d` the share `mask_time` of the moments and `mask_bands` of
    the bands. Each sound is heard twice, under masks of its own. `reconstruction` weighs the error of what was dropped.
    """

    masking: Masking = "2d"
    mask: float = 0.4
    mask_time: float = 0.2
    mask_bands: float = 0.2
    reconstruction: float = 1.0
    decoder_layers: int = 4
    learning_rate: float = 1e-4
    weight_decay: float = 0.01
    warmup_steps: int = 500
    max_steps: int = 10_000
    batch_size: int = 64
    validate_every: int = 500
    max_tokens: int = 77
    augment: bool = True
    seed: int = 0
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    half: bool = False
