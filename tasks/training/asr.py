"""Train a CTC acoustic model: fine-tune any checkpoint of `transformers`, or a small wav2vec2 from scratch.

Everything a step needs follows from its number and the seed, and a checkpoint holds model, optimiser and step: a run
that is killed and started again ends as an unbroken one does.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import jiwer
import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs, broadcast_object_list
from torch import nn
from torch.nn import functional
from transformers import PreTrainedModel

from tasks.arrays import Array
from tasks.errors import Misconfigured
from tasks.machine.folders import recover, write_whole
from tasks.machine.hardware import cpu_has_bf16
from tasks.training.batch_norm import RunningStatistics
from tasks.training.batches import Batch, epoch_batches, make_batch, training_batches
from tasks.training.checkpoints import (
    average,
    change_state,
    keep_recent,
    load_state,
    load_weights,
    recent,
    save_model,
    save_state,
)
from tasks.training.clips import ClipStore
from tasks.training.groups import freeze_layers, parameter_groups
from tasks.training.inputs import ModelInputs
from tasks.training.losses import Targets, ctc, disagreement, log_probabilities
from tasks.training.masks import settle_masks, silence_bands
from tasks.training.options import Progress, TrainingOptions, learning_rate_at


class Trainer:
    """One run in `folder`: `best/` (best validation), `last/` (to go on from), `recent/` (to average), `history.jsonl`.

    `trained` are the parts of a frozen feature encoder that are trained all the same.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        processor: Any,
        train: ClipStore,
        validation: ClipStore,
        folder: Path,
        options: TrainingOptions,
        recorded: list[Array] | None = None,
        trained: Sequence[nn.Module] = (),
    ) -> None:
        precision = options.precision
        if precision == "fp16" and not torch.cuda.is_available():
            raise Misconfigured("fp16 is for GPUs.", next="Leave --precision out, or say bf16 or fp32.")
        if precision == "auto":
            precision = "bf16" if torch.cuda.is_available() or cpu_has_bf16() else "fp32"
        AcceleratorState._reset_state()  # else a process could train with one precision only
        # Of a model with frozen or unused parts, not every parameter gets a gradient.
        unused = DistributedDataParallelKwargs(find_unused_parameters=True)
        self.accelerator = Accelerator(
            mixed_precision="no" if precision == "fp32" else precision, kwargs_handlers=[unused]
        )
        self.options, self.folder, self.processor = options, folder, processor
        self.train_clips, self.validation = train, validation
        self.recorded = recorded or []
        self.tokenizer = processor.tokenizer
        self.inputs = ModelInputs(model, processor.feature_extractor)
        if options.freeze_feature_encoder and hasattr(model, "freeze_feature_encoder"):
            model.freeze_feature_encoder()
            for part in trained:
                part.requires_grad_(True)
        freeze_layers(model, options.freeze_layers)
        if options.gradient_checkpointing:
            model.gradient_checkpointing_enable()
        settle_masks(model, options, waveform=not self.inputs.features)
        # On a CPU in bf16, the backward pass of torch's fused attention takes longer than those of its parts.
        if precision == "bf16" and not torch.cuda.is_available() and model.config._attn_implementation == "sdpa":
            model.set_attn_implementation("eager")
        groups = parameter_groups(model, options)
        optimizer = torch.optim.AdamW(groups, lr=options.learning_rate, betas=(0.9, 0.98), fused=True)
        self.model, self.optimizer = self.accelerator.prepare(model, optimizer)
        self.statistics = RunningStatistics(self.model)
        self.step, self.best, self.stale, self.skipped = 0, math.inf, 0, 0
        self.averaged: dict[str, float] | None = None
        # Scores of the weights in `best`, after which step they came, and of how many checkpoints they are the mean.
        self.kept: dict[str, float] = {}
        self.history: list[dict[str, Any]] = []
        self.too_large: set[str] = set()

    # -- the loop -----------------------------------------------------------------------------------------------

    def fit(self, on_progress: Callable[[Progress], None] = lambda progress: None) -> dict[str, Any]:
        """Train until `max_steps`, or until validation has not improved `patience` times; returns a summary."""
        self.resume()
        started, seconds, losses = time.monotonic(), 0.0, []
        if self.ended:
            self.finish()
            return self.summary()
        for step, epoch, batch in training_batches(
            self.train_clips,
            start_step=self.step,
            batch_size=None if self.options.batch_s else self.options.batch_size,
            batch_s=self.options.batch_s,
            seed=self.options.seed,
            options=self.options.augmentation,
            recorded=self.recorded,
            do_normalise=self.inputs.do_normalise,
            process=self.accelerator.process_index,
            processes=self.accelerator.num_processes,
        ):
            loss = self.train_step(step, batch)
            losses.append(loss)
            self.step = step + 1
            seconds += batch.seconds
            spent = time.monotonic() - started
            scores: dict[str, float] = {}
            if self.step % self.options.validate_every == 0 or self.ended:
                scores = self.validate()
                mean = float(np.mean([x for x in losses if math.isfinite(x)] or [math.nan]))
                self.record(epoch, mean, scores)
                losses = []
            if self.ended:
                self.finish()
            rate = learning_rate_at(step, self.options)
            on_progress(Progress(self.step, epoch, loss, rate, seconds / spent, **scores))
            if self.ended:
                break
        return self.summary()

    @property
    def ended(self) -> bool:
        """Whether there is no step left to make."""
        return self.step >= self.options.max_steps or self.stale >= self.options.patience

    def train_step(self, step: int, batch: Batch) -> float:
        """One update; a step whose loss or gradient is not finite changes nothing. Returns the loss."""
        # SpecAugment inside transformers draws from numpy's global state.
        np.random.seed((self.options.seed * 1_000_003 + step) % 2**32)
        torch.manual_seed(self.options.seed * 1_000_003 + step)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate_at(step, self.options) * group["scale"]
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
        self.statistics.keep()
        try:
            loss = self.loss(batch)
            self.accelerator.backward(loss)
        except torch.OutOfMemoryError:
            if self.accelerator.num_processes > 1:  # the others wait for this one's gradients
                raise
            self._leave_out(batch)
            return math.nan
        # Of what is not finite in one process, the sum over all of them is not finite either: all go on together.
        norm = self.accelerator.clip_grad_norm_(self.model.parameters(), self.options.clip_norm)
        finite = norm is None or bool(torch.isfinite(torch.as_tensor(norm)))
        # With fp16, the scaler looks for itself, and must see every step: it lowers its scale after one that overflows.
        if finite or self.accelerator.scaler is not None:
            self.optimizer.step()
        if not finite:
            self.statistics.put_back()
            self.skipped += 1
        return float(loss.detach())  # nan and inf are left out of the mean

    def _leave_out(self, batch: Batch) -> None:
        """Go on without a batch that does not fit into memory; its clips are named in the summary."""
        self.too_large.update(batch.names)
        self.statistics.put_back()
        self.optimizer.zero_grad(set_to_none=True)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def loss(self, batch: Batch) -> torch.Tensor:
        """CTC loss a character, on the last layer and by `intermediate_ctc` on the middle one (Lee & Watanabe 2021).

        With `consistency`, every clip is heard twice under masks of their own, and what the two say is drawn together.
        """
        device = self.accelerator.device
        bare = self.accelerator.unwrap_model(self.model)
        inputs, frames = self.inputs(bare, batch, device)
        views = 2 if self.options.consistency > 0 else 1
        if views > 1:
            inputs = {name: torch.cat([value] * views) for name, value in inputs.items()}
        if self.options.mask_bands and not self.inputs.features:
            inputs["input_values"] = silence_bands(inputs["input_values"], self.options.mask_bands)
        deep = self.options.intermediate_ctc > 0
        with self.accelerator.autocast():
            outputs = self.model(**inputs, output_hidden_states=deep)
        targets = Targets.of(batch.texts * views, frames.repeat(views), self.tokenizer, device)
        log_probs, blank = log_probabilities(outputs.logits), bare.config.pad_token_id
        loss = ctc(log_probs, targets, blank)
        if deep:
            middle = outputs.hidden_states[len(outputs.hidden_states) // 2]
            with self.accelerator.autocast():
                logits = bare.lm_head(functional.layer_norm(middle, middle.shape[-1:]))
            inner = ctc(log_probabilities(logits), targets, blank)
            loss = (1 - self.options.intermediate_ctc) * loss + self.options.intermediate_ctc * inner
        if views > 1:
            loss = loss + self.options.consistency * disagreement(log_probs, targets)
        return loss

    # -- validation ---------------------------------------------------------------------------------------------

    @torch.no_grad()  # not inference_mode: a Conformer keeps its rotary tables for the training step that follows
    def transcribe(self, store: ClipStore, batch_s: float = 120.0) -> list[str]:
        """Greedy transcripts of every clip, in the store's order."""
        self.model.eval()
        bare = self.accelerator.unwrap_model(self.model)
        texts = [""] * len(store)
        for clips in epoch_batches(store.lengths, batch_size=None, batch_s=batch_s, seed=0, epoch=0):
            batch = make_batch(
                store, clips, step=0, seed=0, options=None, recorded=[], do_normalise=self.inputs.do_normalise
            )
            inputs, frames = self.inputs(bare, batch, self.accelerator.device)
            with self.accelerator.autocast():
                ids = self.model(**inputs).logits.argmax(-1).cpu()
            for clip, row, length in zip(clips, ids, frames, strict=True):
                texts[int(clip)] = self.tokenizer.decode(row[: int(length)], skip_special_tokens=True)
        return texts

    def validate(self) -> dict[str, float]:
        """Word and character error rate (greedy) on the validation clips, the same in every process."""
        said = self.transcribe(self.validation)
        true = self.validation.texts
        scores = {"wer": float(jiwer.wer(true, said)), "cer": float(jiwer.cer(true, said))}
        agreed: list[dict[str, float]] = broadcast_object_list([scores])
        return agreed[0]

    # -- checkpoints --------------------------------------------------------------------------------------------

    def record(self, epoch: int, loss: float, scores: dict[str, float]) -> None:
        """Append to the history and keep checkpoints: `last` always, `best` when the WER is the lowest so far."""
        better = scores["wer"] < self.best - 1e-9
        self.best = min(self.best, scores["wer"])
        self.stale = 0 if better else self.stale + 1
        self.averaged = None
        if better:
            self.kept = {"after": self.step, "checkpoints": 1, **scores}
        rate = learning_rate_at(self.step - 1, self.options)
        self.history.append({"step": self.step, "epoch": epoch, "loss": loss, "learning_rate": rate, **scores})
        if self.accelerator.is_main_process:
            bare = self.accelerator.unwrap_model(self.model)
            if self.options.average > 1:
                keep_recent(self.folder / "recent", self.step, bare, self.options.average)
            if better:  # before `last`: a kill between them repeats some steps, and loses no best model
                save_model(self.folder / "best", bare, self.processor, half=self.options.half)
            save_state(self.folder / "last", bare, self.processor, self.optimizer, self.state())
            write_whole(self.folder / "history.jsonl", "".join(json.dumps(row) + "\n" for row in self.history))

    def finish(self) -> None:
        """Average the last checkpoints; the average takes the place of `best` where its WER is lower. Once a run's end."""
        self.accelerator.wait_for_everyone()  # until the first process has written the last of them
        paths = recent(self.folder / "recent")[-self.options.average :] if self.options.average > 1 else []
        if self.averaged is not None or len(paths) < 2:
            return
        bare = self.accelerator.unwrap_model(self.model)
        bare.load_state_dict(average(paths))
        scores = self.validate()
        self.averaged = {"checkpoints": len(paths), **scores}
        better = scores["wer"] < self.best - 1e-9
        self.best = min(self.best, scores["wer"])
        if better:
            self.kept = {"after": self.step, **self.averaged}
        if self.accelerator.is_main_process:
            if better:
                save_model(self.folder / "best", bare, self.processor, half=self.options.half)
            changed = {"best": self.best, "averaged": self.averaged, "kept": self.kept}
            change_state(self.folder / "last", changed)
        self.accelerator.wait_for_everyone()
        load_weights(self.folder / "last" / "model.safetensors", bare)  # from which a longer run goes on

    def state(self) -> dict[str, Any]:
        """What `last` holds beside model and optimiser."""
        scaler = self.accelerator.scaler
        return {
            "step": self.step,
            "best": self.best,
            "stale": self.stale,
            "skipped": self.skipped,
            "averaged": self.averaged,
            "kept": self.kept,
            "history": self.history,
            "too_large": sorted(self.too_large),
            "scaler": scaler.state_dict() if scaler else None,
        }

    def resume(self) -> None:
        """Go on from `last/`, or from what a kill between two renames left of it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        last = self.folder / "last"
        recover(last)
        recover(self.folder / "best")
        run = load_state(last, self.accelerator.unwrap_model(self.model), self.optimizer)
        if run is None:
            return
        self.step, self.best, self.stale, self.history = run["step"], run["best"], run["stale"], run["history"]
        self.skipped, self.averaged = run.get("skipped", 0), run.get("averaged")
        self.too_large = set(run.get("too_large", ()))
        self.kept = run.get("kept") or self._lowest()
        if self.accelerator.scaler is not None and run.get("scaler"):
            self.accelerator.scaler.load_state_dict(run["scaler"])

    def _lowest(self) -> dict[str, float]:
        """What `kept` must be of a run from before it was noted."""
        rows = [{"after": row["step"], "checkpoints": 1, "wer": row["wer"], "cer": row["cer"]} for row in self.history]
        rows += [{"after": self.step, **self.averaged}] if self.averaged else []
        return min(rows, key=lambda row: row["wer"])

    def summary(self) -> dict[str, Any]:
        """Steps, the best word error, options, history, the average, which weights were kept, and what was skipped or did not
        fit into memory."""
        return {
            "steps": self.step,
            "best_wer": self.best,
            "options": asdict(self.options),
            "history": self.history,
            "averaged": self.averaged,
            "kept": self.kept,
            "skipped": self.skipped,
            "too_large": sorted(self.too_large),
        }
