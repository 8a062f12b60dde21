"""Sounds and texts in one space (Wu et al. 2023, CLAP; Yeh et al. 2023, FLAP), by any dual encoder that `AutoModel` loads and that
has both `get_audio_features` and `get_text_features`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from tasks.arrays import Array
from tasks.errors import ModelNotAvailable
from tasks.models.dual_encoder import DualEncoder, parts_of, require_same_size
from tasks.models.load import loaded_once

WHAT, KIND = "sound model", "a dual encoder of sounds and texts"
LONGEST_S = 10.0  # where an extractor does not say how long its clips are
# CLAP's extractor takes longer clips for what it was trained on by drawing parts of them, and shorter ones by repeating them.
OPTIONS = {"padding": "repeatpad"}


@dataclass(frozen=True)
class SoundEncoder(DualEncoder):
    """A dual encoder of sounds: mono, `rate` samples a second, at most `piece_s` seconds."""

    rate: int = 0
    piece_s: float = 0.0

    def sounds(self, pieces: Sequence[Array]) -> Array:
        """Vectors of pieces, each (samples,) float32 from -1 to 1, as (pieces, size) float32. Each depends on its piece alone.

        Raises:
            OutOfMemory: not even one fits.
        """
        return self.batched(self.forward, pieces)

    @torch.inference_mode()
    def forward(self, pieces: Sequence[Array]) -> Array:
        """Vectors of as many pieces as fit into memory."""
        return self.unit(self.model.get_audio_features(**self.features(pieces)))

    def features(self, pieces: Sequence[Array]) -> dict[str, torch.Tensor]:
        """What the model takes of pieces, by name: tensors of as many rows, those of its features first."""
        # The features of several at once would be padded to the longest, and one of them, drawn by chance, marked.
        made = [
            self.processor(piece, sampling_rate=self.rate, return_tensors="pt", **self._options()) for piece in pieces
        ]
        inputs = {name: torch.cat([one[name] for one in made]) for name in made[0]}
        if "is_longer" in inputs:
            inputs["is_longer"] = torch.zeros_like(inputs["is_longer"])
        for name, value in inputs.items():
            inputs[name] = value.to(self.device, self.dtype if value.is_floating_point() else None)
        return inputs

    def _options(self) -> dict[str, str]:
        return OPTIONS if self.model.config.model_type == "clap" else {}


def load_sound_encoder(
    name: str, *, revision: str | None = None, device: str = "auto", precision: str = "auto"
) -> SoundEncoder:
    """Load a sound model once for this process, from a folder or (already fetched) from the hub's cache.

    Raises:
        ModelNotAvailable: it is not on this machine, or is no dual encoder of sounds.
    """

    def load() -> SoundEncoder:
        from transformers import AutoFeatureExtractor

        from tasks.models.flap import register

        register()
        found = parts_of(
            name,
            AutoFeatureExtractor,
            "get_audio_features",
            WHAT,
            KIND,
            revision=revision,
            device=device,
            precision=precision,
        )
        extractor = found["processor"]
        rate = int(getattr(extractor, "sampling_rate", 0))
        if not rate:
            raise ModelNotAvailable(
                f"The extractor of {name} does not say what rate it hears.", next=f"Name another {WHAT}."
            )
        longest = float(getattr(extractor, "max_length_s", LONGEST_S))
        made = SoundEncoder(**found, rate=rate, piece_s=longest)
        hum = np.sin(np.arange(rate, dtype=np.float32) * np.float32(0.05)) * np.float32(0.1)
        return replace(made, size=require_same_size(made.sounds([hum]), made.texts(["a hum"]), WHAT, made.name))

    return loaded_once(("sounds", name, revision, device, precision), load)
