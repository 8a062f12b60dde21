"""Trains a model of sounds and texts, as FLAP does (Yeh et al. 2023)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tasks.arrays import Array
from tasks.models.flap import FlapModel
from tasks.training.augment import add_noise, change_speed
from tasks.training.pairs.loop import PairTrainer
from tasks.training.pairs.losses import contrast
from tasks.training.sounds.losses import Reconstruction
from tasks.training.sounds.masks import kept
from tasks.training.sounds.options import SoundTraining
from tasks.training.sounds.store import SoundStore


class Both(torch.nn.Module):
    """What is trained: the model, and what says what was dropped, which nobody needs afterwards."""

    def __init__(self, model: FlapModel, options: SoundTraining) -> None:
        super().__init__()
        self.model = model
        wanted = options.reconstruction > 0 and options.masking != "none"
        self.reconstruction = Reconstruction(model.config, layers=options.decoder_layers) if wanted else None

    def save_pretrained(self, folder: Path) -> None:
        """As `tasks.training.checkpoints.save_state` asks for."""
        from safetensors.torch import save_file

        save_file({name: one.contiguous() for name, one in self.state_dict().items()}, folder / "model.safetensors")


class SoundTrainer(PairTrainer[SoundTraining]):
    """The others are features of sounds, (sounds, frames, bins)."""

    kind = "sound"

    def __init__(
        self,
        model: FlapModel,
        processor: Any,
        train: SoundStore,
        validation: SoundStore,
        folder: Path,
        options: SoundTraining,
    ) -> None:
        self.train, self.validation = train, validation
        self.both = Both(model, options)
        super().__init__(self.both, model, processor, train.captions, validation.captions, folder, options)

    def inputs(self, chosen: Sequence[int], rng: np.random.Generator) -> torch.Tensor:
        return self.features([self.varied(self.train.sound(n), rng) for n in chosen])

    def judged_inputs(self, chosen: Sequence[int]) -> torch.Tensor:
        return self.features([self.validation.sound(n) for n in chosen])

    def vectors(self, inputs: torch.Tensor) -> torch.Tensor:
        vectors: torch.Tensor = self.model.get_audio_features(inputs)
        return vectors

    def loss(
        self, inputs: torch.Tensor, tokens: Mapping[str, torch.Tensor], same: torch.Tensor
    ) -> Mapping[str, torch.Tensor]:
        model, options = self.both.model, self.options
        texts = self.texts(tokens)
        patches = model.sounds.patches(inputs)
        views = [self.seen(len(texts), patches.shape[1]) for _ in range(options.views)]
        states = [model.sounds(inputs, seen) for seen in views]
        scale = model.logit_scale.exp().clamp(max=100.0)
        parts = {"contrast": torch.stack([contrast(model.pooled(one), texts, same, scale) for one in states]).mean()}
        if self.both.reconstruction is not None:
            errors = [
                self.both.reconstruction(state, seen, texts, patches)
                for state, seen in zip(states, views, strict=True)
                if seen is not None
            ]
            parts["reconstruction"] = options.reconstruction * torch.stack(errors).mean()
        return parts

    def seen(self, sounds: int, patches: int) -> torch.Tensor | None:
        """The patches of a view, None for all."""
        bands = self.both.model.config.grid[1]
        chosen = kept(self.options, sounds, patches // bands, bands)
        return None if chosen is None else chosen.to(self.device)

    def varied(self, sound: Array, rng: np.random.Generator) -> Array:
        """A piece of the length that the model takes, changed in ways that leave it what it is."""
        longest = int(self.processor.extractor.max_length_s * self.train.rate)
        if len(sound) > longest:
            start = int(rng.integers(len(sound) - longest + 1))
            sound = sound[start : start + longest]
        if not self.options.augment:
            return sound
        sound = np.roll(sound, int(rng.integers(len(sound))))
        if rng.random() < 0.5:
            sound = change_speed(sound, float(rng.uniform(0.85, 1.15)))
        if rng.random() < 0.3:
            sound = add_noise(sound, float(rng.uniform(10.0, 30.0)), rng)
        louder: Array = sound * np.float32(10 ** (rng.uniform(-10, 6) / 20))
        return louder

    def features(self, sounds: list[Array]) -> torch.Tensor:
        made = self.processor.extractor(sounds, sampling_rate=self.train.rate, return_tensors="pt")
        features: torch.Tensor = made["input_features"].to(self.device)
        return features
