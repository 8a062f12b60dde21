"""Settings of a training run over sounds and captions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tasks.training.pairs.loop import PairTraining

Masking = Literal["none", "1d", "2d"]


@dataclass(frozen=True, kw_only=True)
class SoundTraining(PairTraining):
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

    @property
    def views(self) -> int:
        """How often a step hears a sound."""
        return 1 if self.masking == "none" else 2
