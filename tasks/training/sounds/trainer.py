"""The loop that trains a model of sounds and texts: a step is a function of its number, so that a killed run goes on as it was."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tasks.arrays import Array
from tasks.evaluation.retrieval import Retrieval, retrieval
from tasks.machine.folders import recover
from tasks.machine.hardware import cpu_has_bf16
from tasks.models.flap import FlapModel
from tasks.models.load import choose_device
from tasks.training.augment import add_noise, change_speed
from tasks.training.checkpoints import load_state, save_model, save_state
from tasks.training.sounds.losses import Reconstruction, contrast
from tasks.training.sounds.masks import crossed, scattered
from tasks.training.sounds.options import SoundTraining
from tasks.training.sounds.store import SoundStore

VALIDATED = 64  # sounds at once


@dataclass(frozen=True)
class SoundProgress:
    """What a log line is made from; `recall` is that of texts among the first ten sounds."""

    step: int
    loss: float
    contrast: float
    reconstruction: float
    recall: float | None = None


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


class SoundTrainer:
    """Trains in `folder`: `best` is the model of the best validation, `last` what a killed run goes on from."""

    def __init__(
        self,
        model: FlapModel,
        processor: Any,
        train: SoundStore,
        validation: SoundStore,
        folder: Path,
        options: SoundTraining,
    ) -> None:
        self.options, self.folder, self.processor = options, folder, processor
        self.train, self.validation = train, validation
        self.device = torch.device(choose_device("auto"))
        self.both = Both(model, options).to(self.device)
        bf16 = options.precision == "bf16" or (
            options.precision == "auto" and (self.device.type == "cuda" or cpu_has_bf16())
        )
        self.autocast = (lambda: torch.autocast(self.device.type, torch.bfloat16)) if bf16 else nullcontext
        self.optimizer = torch.optim.AdamW(
            self.both.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay, betas=(0.9, 0.98)
        )
        self.step, self.best = 0, -1.0
        self.history: list[dict[str, Any]] = []

    def fit(self, on_progress: Callable[[SoundProgress], None] = lambda progress: None) -> dict[str, Any]:
        """Train until `max_steps`; returns a summary."""
        self.resume()
        losses: list[float] = []
        while self.step < self.options.max_steps:
            told = self.train_step(self.step)
            self.step += 1
            losses.append(told.loss)
            if self.step % self.options.validate_every == 0 or self.step == self.options.max_steps:
                scores = self.validate()
                self.record(float(np.mean(losses)), scores)
                losses = []
                told = replace(told, recall=scores.text_to_sound[10])
            on_progress(told)
        return self.summary()

    # -- a step -------------------------------------------------------------------------------------------------

    def train_step(self, step: int) -> SoundProgress:
        """One update."""
        options, model = self.options, self.both.model
        torch.manual_seed(options.seed * 1_000_003 + step)
        rate = rate_at(step, options)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.both.train()
        features, texts = self.batch(step)
        tokens = self.tokens(texts)
        same = torch.tensor([[one == other for other in texts] for one in texts], device=self.device)
        with self.autocast():
            of_texts = model.get_text_features(**tokens)
            patches = model.sounds.patches(features)
            views = [self.seen(len(texts), patches.shape[1]) for _ in range(1 if options.masking == "none" else 2)]
            states = [model.sounds(features, seen) for seen in views]
            scale = model.logit_scale.exp().clamp(max=100.0)
            found = torch.stack([contrast(model.pooled(state), of_texts, same, scale) for state in states]).mean()
            rebuilt = torch.zeros((), device=self.device)
            if self.both.reconstruction is not None:
                errors = [
                    self.both.reconstruction(state, seen, of_texts, patches)
                    for state, seen in zip(states, views, strict=True)
                    if seen is not None
                ]
                rebuilt = torch.stack(errors).mean()
        loss = found + options.reconstruction * rebuilt
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.both.parameters(), 1.0)
        if torch.isfinite(norm):
            self.optimizer.step()
        return SoundProgress(step + 1, float(loss.detach()), float(found.detach()), float(rebuilt.detach()))

    def seen(self, sounds: int, patches: int) -> torch.Tensor | None:
        """The patches of a view, None for all."""
        options, bands = self.options, self.both.model.config.grid[1]
        if options.masking == "none":
            return None
        if options.masking == "1d":
            return scattered(sounds, patches, options.mask).to(self.device)
        return crossed(sounds, patches // bands, bands, options.mask_time, options.mask_bands).to(self.device)

    def batch(self, step: int) -> tuple[torch.Tensor, list[str]]:
        """Features of the sounds of a step (sounds, frames, bins) and a caption of each."""
        rng = np.random.default_rng((self.options.seed, step))
        size = min(self.options.batch_size, len(self.train))
        start, per_epoch = step * size, len(self.train) // size * size
        order = np.random.default_rng((self.options.seed, start // per_epoch)).permutation(len(self.train))
        chosen = [int(n) for n in order[start % per_epoch :][:size]]
        sounds = [self.varied(self.train.sound(n), rng) for n in chosen]
        texts = [self.train.captions[n][int(rng.integers(len(self.train.captions[n])))] for n in chosen]
        return self.features(sounds), texts

    def varied(self, sound: Array, rng: np.random.Generator) -> Array:
        """A piece of the length that the model takes, changed in ways that leave it what it is."""
        longest = int(self.processor.feature_extractor.max_length_s * self.train.rate)
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
        made = self.processor.feature_extractor(sounds, sampling_rate=self.train.rate, return_tensors="pt")
        features: torch.Tensor = made["input_features"].to(self.device)
        return features

    def tokens(self, texts: list[str]) -> dict[str, torch.Tensor]:
        given = self.processor.tokenizer(
            texts, padding=True, truncation=True, max_length=self.options.max_tokens, return_tensors="pt"
        )
        return {name: value.to(self.device) for name, value in given.items() if name != "token_type_ids"}

    # -- validation ---------------------------------------------------------------------------------------------

    @torch.no_grad()
    def validate(self) -> Retrieval:
        """How well sounds and texts of the validation find each other."""
        self.both.eval()
        store, sounds = self.validation, []
        for start in range(0, len(store), VALIDATED):
            chosen = range(start, min(start + VALIDATED, len(store)))
            features = self.features([store.sound(n) for n in chosen])
            with self.autocast():
                rows = self.both.model.get_audio_features(features)
            sounds.append(rows.float().cpu().numpy())
        texts = list(dict.fromkeys(said[0] for said in store.captions))
        tokens = self.tokens(texts)
        with self.autocast():
            vectors = self.both.model.get_text_features(**tokens).float().cpu().numpy()
        own = [texts.index(said[0]) for said in store.captions]
        return retrieval(np.concatenate(sounds), vectors, own)

    # -- checkpoints --------------------------------------------------------------------------------------------

    def record(self, loss: float, scores: Retrieval) -> None:
        """Append to the history and keep checkpoints."""
        reached = sum(scores.row().values())  # all of them: of few texts nearly every one is among the first ten
        better = reached > self.best
        self.best = max(self.best, reached)
        self.history.append({"step": self.step, "loss": loss, **scores.row()})
        model = self.both.model
        if better:
            save_model(self.folder / "best", model, self.processor, half=self.options.half)
        state = {"step": self.step, "best": self.best, "history": self.history}
        save_state(self.folder / "last", self.both, self.processor, self.optimizer, state)

    def resume(self) -> None:
        """Go on from `last`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        recover(self.folder / "last")
        recover(self.folder / "best")
        run = load_state(self.folder / "last", self.both, self.optimizer)
        if run is not None:
            self.step, self.best, self.history = run["step"], run["best"], run["history"]

    def summary(self) -> dict[str, Any]:
        """Steps, options and the history, and its best row."""
        best = max(self.history, key=lambda row: sum(value for name, value in row.items() if "_to_" in name))
        return {"steps": self.step, "options": asdict(self.options), "history": self.history, "kept": best}


def rate_at(step: int, options: SoundTraining) -> float:
    """Linear warm-up, then half a cosine to zero."""
    if step < options.warmup_steps:
        return options.learning_rate * (step + 1) / options.warmup_steps
    done = (step - options.warmup_steps) / max(1, options.max_steps - options.warmup_steps)
    return float(options.learning_rate * (1 + np.cos(np.pi * min(1.0, done))) / 2)
