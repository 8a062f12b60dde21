"""Train a CTC acoustic model: fine-tune any checkpoint of `transformers`, or a small wav2vec2 from scratch.

Everything a step needs follows from its number and the seed, and a checkpoint holds model, optimiser and step: a run
that is killed and started again ends as an unbroken one does.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import jiwer
import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs, broadcast_object_list
from safetensors.torch import load_file, save_file
from torch.nn import functional
from transformers import PreTrainedModel

from tasks.arrays import Array
from tasks.errors import Misconfigured
from tasks.hardware import cpu_has_bf16
from tasks.training.augment import Augmentation
from tasks.training.batches import Batch, epoch_batches, make_batch, training_batches
from tasks.training.clips import ClipStore
from tasks.training.folders import recover, replacing
from tasks.training.inputs import ModelInputs


@dataclass(frozen=True)
class TrainingOptions:
    """Settings of a run; the defaults are those of the reference work (wav2vec2 on Mini LibriSpeech)."""

    learning_rate: float = 1e-4
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
    gradient_checkpointing: bool = False
    intermediate_ctc: float = 0.0
    clip_norm: float = 1.0
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


class Trainer:
    """One run in `folder`: `best/` (best validation), `last/` (to go on from), `history.jsonl`."""

    def __init__(
        self,
        model: PreTrainedModel,
        processor: Any,
        train: ClipStore,
        validation: ClipStore,
        folder: Path,
        options: TrainingOptions,
        recorded: list[Array] | None = None,
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
        if options.gradient_checkpointing:
            model.gradient_checkpointing_enable()
        decay = [p for p in model.parameters() if p.requires_grad and p.ndim >= 2]
        rest = [p for p in model.parameters() if p.requires_grad and p.ndim < 2]
        groups = [{"params": decay, "weight_decay": options.weight_decay}, {"params": rest, "weight_decay": 0.0}]
        optimizer = torch.optim.AdamW(groups, lr=options.learning_rate, betas=(0.9, 0.98), fused=True)
        self.model, self.optimizer = self.accelerator.prepare(model, optimizer)
        self.step, self.best, self.stale = 0, math.inf, 0
        self.history: list[dict[str, Any]] = []
        self.too_large: set[str] = set()

    # -- the loop -----------------------------------------------------------------------------------------------

    def fit(self, on_progress: Callable[[Progress], None] = lambda progress: None) -> dict[str, Any]:
        """Train until `max_steps`, or until validation has not improved `patience` times; returns a summary."""
        self.resume()
        started, seconds, losses = time.monotonic(), 0.0, []
        if self.step >= self.options.max_steps or self.stale >= self.options.patience:
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
            ended = self.step >= self.options.max_steps
            scores: dict[str, float] = {}
            if self.step % self.options.validate_every == 0 or ended:
                scores = self.validate()
                mean = float(np.mean([x for x in losses if math.isfinite(x)] or [math.nan]))
                self.record(epoch, mean, scores)
                losses = []
                ended = ended or self.stale >= self.options.patience
            rate = learning_rate_at(step, self.options)
            on_progress(Progress(self.step, epoch, loss, rate, seconds / spent, **scores))
            if ended:
                break
        return self.summary()

    def train_step(self, step: int, batch: Batch) -> float:
        """One update; a step whose loss or gradient is not finite changes nothing. Returns the loss."""
        # SpecAugment inside transformers draws from numpy's global state.
        np.random.seed((self.options.seed * 1_000_003 + step) % 2**32)
        torch.manual_seed(self.options.seed * 1_000_003 + step)
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate_at(step, self.options)
        self.model.train()
        self.optimizer.zero_grad(set_to_none=True)
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
        # With fp16, the scaler looks for itself, and must see every step.
        scaled = self.accelerator.scaler is not None
        if scaled or norm is None or bool(torch.isfinite(torch.as_tensor(norm))):
            self.optimizer.step()
        return float(loss.detach())  # nan and inf are left out of the mean

    def _leave_out(self, batch: Batch) -> None:
        """Go on without a batch that does not fit into memory; its clips are named in the summary."""
        self.too_large.update(batch.names)
        self.optimizer.zero_grad(set_to_none=True)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def loss(self, batch: Batch) -> torch.Tensor:
        """CTC loss a character, on the last layer and by `intermediate_ctc` on the middle one (Lee & Watanabe 2021)."""
        device = self.accelerator.device
        bare = self.accelerator.unwrap_model(self.model)
        inputs, frames = self.inputs(bare, batch, device)
        deep = self.options.intermediate_ctc > 0
        with self.accelerator.autocast():
            outputs = self.model(**inputs, output_hidden_states=deep)
        targets = [self.tokenizer(text).input_ids for text in batch.texts]
        sizes = torch.tensor([len(t) for t in targets])
        flat = torch.tensor([i for t in targets for i in t], device=device)

        def ctc(logits: torch.Tensor) -> torch.Tensor:
            log_probs = functional.log_softmax(logits.float(), dim=-1).transpose(0, 1)
            blank = bare.config.pad_token_id
            each = functional.ctc_loss(
                log_probs, flat, frames, sizes, blank=blank, reduction="none", zero_infinity=True
            )
            return each.sum() / sizes.sum().clamp(min=1)

        loss = ctc(outputs.logits)
        if deep:
            middle = outputs.hidden_states[len(outputs.hidden_states) // 2]
            with self.accelerator.autocast():
                logits = bare.lm_head(functional.layer_norm(middle, middle.shape[-1:]))
            loss = (1 - self.options.intermediate_ctc) * loss + self.options.intermediate_ctc * ctc(logits)
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
        rate = learning_rate_at(self.step - 1, self.options)
        self.history.append({"step": self.step, "epoch": epoch, "loss": loss, "learning_rate": rate, **scores})
        if self.accelerator.is_main_process:
            if better:  # before `last`: a kill between them repeats some steps, and loses no best model
                self.save(self.folder / "best", whole=False)
            self.save(self.folder / "last", whole=True)
            (self.folder / "history.jsonl").write_text(
                "".join(json.dumps(row) + "\n" for row in self.history), encoding="utf-8"
            )

    def save(self, target: Path, *, whole: bool) -> None:
        """Write model and processor (and with `whole`, the optimiser) beside `target`, then take its place."""
        with replacing(target, keep="language_model") as part:  # which `train lm` puts there
            bare = self.accelerator.unwrap_model(self.model)
            bare.save_pretrained(part)
            self.processor.save_pretrained(part)
            if whole:
                state = self.optimizer.state_dict()["state"]
                tensors = {
                    f"{i}.{key}": value.contiguous() for i, slots in state.items() for key, value in slots.items()
                }
                save_file(tensors, part / "optimizer.safetensors")
                scaler = self.accelerator.scaler
                run = {
                    "step": self.step,
                    "best": self.best,
                    "stale": self.stale,
                    "history": self.history,
                    "too_large": sorted(self.too_large),
                    "scaler": scaler.state_dict() if scaler else None,
                }
                (part / "run.json").write_text(json.dumps(run), encoding="utf-8")

    def resume(self) -> None:
        """Go on from `last/`, or from what a kill between two renames left of it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        last = self.folder / "last"
        recover(last)
        recover(self.folder / "best")
        if not (last / "run.json").exists():
            return
        run = json.loads((last / "run.json").read_text(encoding="utf-8"))
        self.step, self.best, self.stale, self.history = run["step"], run["best"], run["stale"], run["history"]
        bare = self.accelerator.unwrap_model(self.model)
        self.too_large = set(run.get("too_large", ()))
        if self.accelerator.scaler is not None and run.get("scaler"):
            self.accelerator.scaler.load_state_dict(run["scaler"])
        left = bare.load_state_dict(load_file(last / "model.safetensors"), strict=False)
        if left.missing_keys or left.unexpected_keys:
            raise Misconfigured(f"{last} holds a model of another shape.", next="Name another folder with --out.")
        tensors = load_file(last / "optimizer.safetensors")
        state: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in tensors.items():
            number, slot = name.split(".", 1)
            state.setdefault(int(number), {})[slot] = value
        whole = self.optimizer.state_dict()
        self.optimizer.load_state_dict({"state": state, "param_groups": whole["param_groups"]})

    def summary(self) -> dict[str, Any]:
        """Steps, the best word error, options, history, and clips that did not fit into memory."""
        return {
            "steps": self.step,
            "best_wer": self.best,
            "options": asdict(self.options),
            "history": self.history,
            "too_large": sorted(self.too_large),
        }
