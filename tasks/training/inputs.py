"""What a batch of clips is to a model: waveforms, or the mel features that its processor makes of them."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import torch

from tasks.training.batches import Batch
from tasks.training.clips import SAMPLE_RATE


class ModelInputs:
    """Keyword arguments for a CTC model's `forward`, and how many frames of each clip are real."""

    def __init__(self, model: Any, extractor: Any) -> None:
        self.extractor = extractor
        self.features = "input_values" not in inspect.signature(model.forward).parameters
        # Mel features are normalised by their extractor; waveforms are, for models that want it, as they are loaded.
        self.do_normalise = not self.features and bool(getattr(extractor, "do_normalize", True))

    def __call__(self, model: Any, batch: Batch, device: torch.device) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
        """Tensors on `device`; frames of shape (clips,), on the CPU."""
        if not self.features:
            mask = np.arange(batch.audio.shape[1])[None] < batch.lengths[:, None]
            given = {"input_values": torch.from_numpy(batch.audio), "attention_mask": torch.from_numpy(mask).long()}
            frames = model._get_feat_extract_output_lengths(torch.as_tensor(batch.lengths))
        else:
            clips = [row[:n] for row, n in zip(batch.audio, batch.lengths, strict=True)]
            made = self.extractor(clips, sampling_rate=SAMPLE_RATE, padding=True, return_tensors="pt")
            given = {"input_features": made["input_features"], "attention_mask": made["attention_mask"]}
            frames = model._get_feat_extract_output_lengths(made["attention_mask"].sum(-1))
        return {name: value.to(device) for name, value in given.items()}, frames.long()
