"""Train a topic classifier: any sequence-classification checkpoint, or a small BERT from scratch.

Texts are trained on as speech recognition gives them, and in pieces of changing length, because that is what the
classifier will read.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from tasks.arrays import Array
from tasks.errors import Misconfigured, first_line
from tasks.evaluation.linear import linear_baseline
from tasks.evaluation.noise import as_speech, with_errors
from tasks.machine.folders import recover, replacing
from tasks.machine.hardware import cpu_has_bf16
from tasks.models.load import choose_device, quiet_transformers
from tasks.models.pins import from_hub
from tasks.training.attention import backward_on


@dataclass(frozen=True)
class TopicTraining:
    """Settings; the defaults are those of the reference work (512 tokens, rate 1e-5, batch 8)."""

    max_tokens: int = 512
    min_tokens: int = 64
    learning_rate: float = 1e-5
    batch_size: int = 8
    epochs: int = 4
    weight_decay: float = 0.01
    noise: float = 0.2
    smoothing: float = 0.0
    distil: bool = False
    seed: int = 0


def train_topics(
    base: str,
    folder: Path,
    train: Sequence[tuple[str, str]],
    validation: Sequence[tuple[str, str]],
    options: TopicTraining,
    on_progress: Callable[[int, int, float, float | None], None] = lambda step, total, loss, accuracy: None,
) -> dict[str, Any]:
    """Fine-tune `base` on (text, label) pairs; keeps the epoch with the best validation accuracy in `folder/best`.

    With `distil`, as many texts again are made of stretches of several articles, and what TF-IDF with a linear model says
    of them is learnt as well (Hinton et al., "Distilling the knowledge in a neural network", 2015): a linear model finds
    the words that matter from fewer texts than a transformer does. A run that was killed goes on after its last epoch.

    Raises:
        Misconfigured: `base` cannot be loaded.
    """
    quiet_transformers()
    labels = sorted({label for _, label in train})
    last = folder / "last"
    recover(last)
    recover(folder / "best")
    state = _state(last)
    torch.manual_seed(options.seed)
    model, tokenizer = _load(str(last) if state else base, labels)
    device = torch.device(choose_device("auto"))
    model.to(device)
    bf16 = device.type == "cuda" or cpu_has_bf16()
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay)
    if state:
        optimizer.load_state_dict(torch.load(last / "optimizer.pt", weights_only=True))
    written = [(text, as_speech(text), labels.index(label)) for text, label in train]
    data = _Data(written, sorted({word for _, spoken, _ in written for word in spoken.split()}), labels)
    teacher = linear_baseline().fit([s for _, s, _ in written], [t for *_, t in written]) if options.distil else None
    per_epoch = math.ceil(len(written) / options.batch_size)
    whole = options.epochs * per_epoch
    history: list[dict[str, Any]] = state["history"] if state else []
    for epoch in range(len(history), options.epochs):
        model.train()
        order = np.random.default_rng((options.seed, epoch)).permutation(len(written))
        losses = []
        for number in range(per_epoch):
            step = epoch * per_epoch + number
            rng = np.random.default_rng((options.seed, epoch, number))
            torch.manual_seed(options.seed * 1_000_003 + step)  # dropout too is that of an unbroken run
            chosen = order[number * options.batch_size : (number + 1) * options.batch_size]
            texts, target = data.batch(chosen, options, rng, teacher)
            rows = tokenizer(texts, truncation=True, max_length=options.max_tokens).input_ids
            batch = tokenizer.pad({"input_ids": rows}, return_tensors="pt").to(device)
            for group in optimizer.param_groups:
                group["lr"] = options.learning_rate * min(
                    1.0, (step + 1) / (whole * 0.1), (whole - step) / (whole * 0.9)
                )
            with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
                logits = model(**batch).logits
            loss = functional.cross_entropy(
                logits.float(), torch.from_numpy(target).to(device), label_smoothing=options.smoothing
            )
            optimizer.zero_grad(set_to_none=True)
            with backward_on(device):
                loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            losses.append(float(loss.detach()))
            on_progress(step + 1, whole, losses[-1], None)
        score = accuracy(model, tokenizer, validation, labels, options.max_tokens)
        better = score >= max((row["accuracy"] for row in history), default=-1.0)
        history.append({"epoch": epoch, "loss": float(np.mean(losses)), "accuracy": score})
        if better:
            _save(folder / "best", model, tokenizer)
        _save(last, model, tokenizer, {"history": history}, optimizer)
        on_progress((epoch + 1) * per_epoch, whole, history[-1]["loss"], score)
    return {
        "best_accuracy": max(row["accuracy"] for row in history),
        "history": history,
        "labels": labels,
        "options": asdict(options),
    }


def _load(name: str, labels: Sequence[str]) -> tuple[Any, Any]:
    common: dict[str, Any] = {"trust_remote_code": False, **from_hub(name)}
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, **common)
        model = AutoModelForSequenceClassification.from_pretrained(
            name,
            num_labels=len(labels),
            id2label=dict(enumerate(labels)),
            label2id={n: i for i, n in enumerate(labels)},
            ignore_mismatched_sizes=True,  # a classifier of other labels gets a new last layer
            use_safetensors=True,
            dtype=torch.float32,
            **common,
        )
    except (OSError, ValueError, KeyError) as error:
        raise Misconfigured(
            f"No model could be loaded from {name!r}: {first_line(error)}",
            next=f"Name a folder, or fetch it first: nightscribe models fetch {name}",
        ) from error
    return model, tokenizer


@dataclass(frozen=True)
class _Data:
    """Texts as written and as spoken with the numbers of their labels, and the words to put errors in with."""

    texts: Sequence[tuple[str, str, int]]
    vocabulary: Sequence[str]
    labels: Sequence[str]

    def batch(
        self, chosen: Array, options: TopicTraining, rng: np.random.Generator, teacher: Any
    ) -> tuple[list[str], Array]:
        """Stretches of the chosen texts, all of one random length, with target probabilities of shape (n, labels)."""
        length = int(rng.integers(options.min_tokens, options.max_tokens))
        texts = [_stretch(_varied(*self.texts[int(i)][:2], options, rng, self.vocabulary), length, rng) for i in chosen]
        target = np.eye(len(self.labels), dtype=np.float32)[[self.texts[int(i)][2] for i in chosen]]
        if teacher is None:
            return texts, target
        made = [self._mixture(length, rng) for _ in chosen]
        said = teacher.predict_proba(made).astype(np.float32)
        return [*texts, *made], np.concatenate((target, said))

    def _mixture(self, length: int, rng: np.random.Generator) -> str:
        parts = int(rng.integers(1, 5))
        picked = rng.integers(0, len(self.texts), parts)
        return " ".join(_stretch(self.texts[int(i)][1], max(8, length // parts), rng) for i in picked)


def _stretch(text: str, length: int, rng: np.random.Generator) -> str:
    words = text.split()
    start = int(rng.integers(0, max(1, len(words) - length // 2)))
    return " ".join(words[start : start + length])


def _state(last: Path) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads((last / "state.json").read_text(encoding="utf-8"))
        return found
    except FileNotFoundError:
        return None


def _save(
    target: Path, model: Any, tokenizer: Any, state: Mapping[str, Any] | None = None, optimizer: Any = None
) -> None:
    """Beside `target`, then in its place."""
    with replacing(target) as part:
        model.save_pretrained(part)
        tokenizer.save_pretrained(part)
        if state is not None:
            torch.save(optimizer.state_dict(), part / "optimizer.pt")
            (part / "state.json").write_text(json.dumps(state), encoding="utf-8")


def _varied(
    written: str, spoken: str, options: TopicTraining, rng: np.random.Generator, vocabulary: Sequence[str]
) -> str:
    if rng.random() < 0.25:
        return written.lower()
    return with_errors(spoken, rng.uniform(0, 1.5 * options.noise), rng, vocabulary)


@torch.no_grad()
def accuracy(
    model: Any, tokenizer: Any, pairs: Sequence[tuple[str, str]], labels: Sequence[str], max_tokens: int
) -> float:
    """Share of (text, label) pairs that the model labels right, texts as speech."""
    model.eval()
    right = 0
    for start in range(0, len(pairs), 16):
        chosen = pairs[start : start + 16]
        texts = [as_speech(text) for text, _ in chosen]
        batch = tokenizer(texts, truncation=True, max_length=max_tokens, padding=True, return_tensors="pt")
        batch = batch.to(model.device)
        best = model(**batch).logits.argmax(-1).tolist()
        right += sum(labels[i] == label for i, (_, label) in zip(best, chosen, strict=True))
    return right / max(1, len(pairs))
