"""The loop that trains a model of pairs: a step is a function of its number, so that a killed run goes on as it was."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

import numpy as np
import torch

from tasks.arrays import Array
from tasks.evaluation.retrieval import Retrieval, names_of, retrieval
from tasks.machine.folders import recover
from tasks.machine.hardware import cpu_has_bf16
from tasks.models.load import choose_device
from tasks.training.attention import backward_on
from tasks.training.checkpoints import load_state, save_model, save_state

VALIDATED = 64  # at once


@dataclass(frozen=True, kw_only=True)
class PairTraining:
    """Settings that every such training has."""

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


@dataclass(frozen=True)
class PairProgress:
    """What a log line is made from; `recall` is that of texts among the first ten of the others."""

    step: int
    loss: float
    recall: float | None = None


OptionsT = TypeVar("OptionsT", bound=PairTraining)


class PairTrainer(ABC, Generic[OptionsT]):
    """Trains in `folder`: `best` is the model of the best validation, `last` what a killed run goes on from.

    `module` is what is trained: `model`, and with it what nobody needs afterwards. `kind` is what the others are.
    """

    kind: str

    def __init__(
        self,
        module: torch.nn.Module,
        model: Any,
        processor: Any,
        captions: Sequence[Sequence[str]],
        judged: Sequence[Sequence[str]],
        folder: Path,
        options: OptionsT,
    ) -> None:
        self.options, self.folder, self.processor = options, folder, processor
        self.captions, self.judged = captions, judged
        self.device = torch.device(choose_device("auto"))
        self.module, self.model = module.to(self.device), model
        fast = self.device.type == "cuda" or cpu_has_bf16()
        self.bf16 = options.precision == "bf16" or (options.precision == "auto" and fast)
        self.optimizer = torch.optim.AdamW(
            module.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay, betas=(0.9, 0.98)
        )
        self.step, self.best = 0, -1.0
        self.history: list[dict[str, Any]] = []

    # -- what differs -------------------------------------------------------------------------------------------

    @abstractmethod
    def inputs(self, chosen: Sequence[int], rng: np.random.Generator) -> Any:
        """What the model takes of so many of the others that are trained on. Made in another thread while a step is computed: all
        chance has to come from `rng`."""

    @abstractmethod
    def judged_inputs(self, chosen: Sequence[int]) -> Any:
        """The same of those that are judged by."""

    @abstractmethod
    def loss(self, inputs: Any, tokens: Mapping[str, torch.Tensor], same: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """The parts of the loss, already weighed; `same` is true where two texts of the batch are the same."""

    @abstractmethod
    def vectors(self, inputs: Any) -> torch.Tensor:
        """Of the others, (n, size)."""

    def texts(self, tokens: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """Vectors of texts, (n, size)."""
        return pooled(self.model.get_text_features(**tokens))

    # -- the loop -----------------------------------------------------------------------------------------------

    def fit(self, on_progress: Callable[[PairProgress], None] = lambda progress: None) -> dict[str, Any]:
        """Train until `max_steps`; returns a summary."""
        self.resume()
        losses: list[float] = []
        for batch in self.batches():
            told = self.train_step(self.step, *batch)
            self.step += 1
            losses.append(told.loss)
            if self.step % self.options.validate_every == 0 or self.step == self.options.max_steps:
                scores = self.validate()
                self.record(float(np.mean(losses)), scores)
                losses = []
                told = replace(told, recall=scores.shares[names_of(self.kind)[0]][10])
            on_progress(told)
        return self.summary()

    def batches(self) -> Iterator[tuple[Any, list[str]]]:
        """Those that are left, each made while the step before it is computed."""
        if self.step >= self.options.max_steps:
            return
        with ThreadPoolExecutor(1) as ahead:
            coming = ahead.submit(self.batch, self.step)
            for step in range(self.step, self.options.max_steps):
                batch = coming.result()
                if step + 1 < self.options.max_steps:
                    coming = ahead.submit(self.batch, step + 1)
                yield batch

    def train_step(self, step: int, inputs: Any, texts: Sequence[str]) -> PairProgress:
        """One update."""
        torch.manual_seed(self.options.seed * 1_000_003 + step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate_at(step, self.options)
        self.module.train()
        same = torch.tensor([[one == other for other in texts] for one in texts], device=self.device)
        with self.autocast():
            parts = self.loss(inputs, self.tokens(texts), same)
        loss = torch.stack([*parts.values()]).sum()
        self.optimizer.zero_grad(set_to_none=True)
        with backward_on(self.device):
            loss.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(self.module.parameters(), 1.0)
        if torch.isfinite(norm):
            self.optimizer.step()
        return PairProgress(step + 1, float(loss.detach()))

    def autocast(self) -> AbstractContextManager[Any]:
        return torch.autocast(self.device.type, torch.bfloat16) if self.bf16 else nullcontext()

    def batch(self, step: int) -> tuple[Any, list[str]]:
        """Inputs of a step and a caption of each."""
        count = len(self.captions)
        rng = np.random.default_rng((self.options.seed, step))
        size = min(self.options.batch_size, count)
        start, per_epoch = step * size, count // size * size
        order = np.random.default_rng((self.options.seed, start // per_epoch)).permutation(count)
        chosen = [int(n) for n in order[start % per_epoch :][:size]]
        inputs = self.inputs(chosen, rng)
        return inputs, [self.captions[n][int(rng.integers(len(self.captions[n])))] for n in chosen]

    def tokens(self, texts: Sequence[str]) -> dict[str, torch.Tensor]:
        given = self.processor.tokenizer(
            list(texts), padding=True, truncation=True, max_length=self.options.max_tokens, return_tensors="pt"
        )
        return {name: value.to(self.device) for name, value in given.items() if name != "token_type_ids"}

    @torch.no_grad()
    def validate(self) -> Retrieval:
        """How well texts and the others find each other."""
        self.module.eval()
        count, rows = len(self.judged), []
        for start in range(0, count, VALIDATED):
            inputs = self.judged_inputs(range(start, min(start + VALIDATED, count)))
            with self.autocast():
                rows.append(_array(self.vectors(inputs)))
        texts = list(dict.fromkeys(said[0] for said in self.judged))
        with self.autocast():
            of_texts = [
                _array(self.texts(self.tokens(texts[start : start + VALIDATED])))
                for start in range(0, len(texts), VALIDATED)
            ]
        numbers = {text: number for number, text in enumerate(texts)}
        own = [(numbers[said[0]],) for said in self.judged]
        return retrieval(np.concatenate(rows), np.concatenate(of_texts), own, kind=self.kind)

    # -- checkpoints --------------------------------------------------------------------------------------------

    def record(self, loss: float, scores: Retrieval) -> None:
        """Append to the history and keep checkpoints."""
        reached = sum(scores.row().values())  # all of them: of few texts nearly every one is among the first ten
        better = reached > self.best
        self.best = max(self.best, reached)
        self.history.append({"step": self.step, "loss": loss, **scores.row()})
        if better:
            save_model(self.folder / "best", self.model, self.processor, half=self.options.half)
        state = {"step": self.step, "best": self.best, "history": self.history}
        save_state(self.folder / "last", self.module, self.processor, self.optimizer, state)

    def resume(self) -> None:
        """Go on from `last`."""
        self.folder.mkdir(parents=True, exist_ok=True)
        recover(self.folder / "last")
        recover(self.folder / "best")
        run = load_state(self.folder / "last", self.module, self.optimizer)
        if run is not None:
            self.step, self.best, self.history = run["step"], run["best"], run["history"]

    def summary(self) -> dict[str, Any]:
        """Steps, options and the history, and its best row."""
        best = max(self.history, key=lambda row: sum(value for name, value in row.items() if "_to_" in name))
        return {"steps": self.step, "options": asdict(self.options), "history": self.history, "kept": best}


AnyTrainer = PairTrainer[Any]


def digest(file: Path) -> str:
    """Of a manifest, for what tells one run from another."""
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""


def pooled(found: Any) -> torch.Tensor:
    """Some models return vectors, others what holds them."""
    vectors: torch.Tensor = found if isinstance(found, torch.Tensor) else found.pooler_output
    return vectors


def _array(vectors: torch.Tensor) -> Array:
    return vectors.float().cpu().numpy()


def rate_at(step: int, options: PairTraining) -> float:
    """Linear warm-up, then half a cosine to zero."""
    if step < options.warmup_steps:
        return options.learning_rate * (step + 1) / options.warmup_steps
    done = (step - options.warmup_steps) / max(1, options.max_steps - options.warmup_steps)
    return float(options.learning_rate * (1 + np.cos(np.pi * min(1.0, done))) / 2)
