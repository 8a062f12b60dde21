"""Train a topic classifier: any sequence-classification checkpoint, or a small BERT from scratch.

Texts are trained on as speech recognition gives them, and in pieces of changing length, because that is what the
classifier will read. From scratch, masked words of unlabelled text come first (Devlin et al. 2019).
"""

from __future__ import annotations

import json
import math
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    BertTokenizerFast,
)

from tasks.training.noise import as_speech, with_errors


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
    seed: int = 0
    bf16: bool = False


def make_tokenizer(texts: Iterator[str], size: int, folder: Path) -> Any:
    """A lower-case WordPiece vocabulary of `size` learnt from texts, saved to `folder`."""
    from tokenizers import BertWordPieceTokenizer

    learner = BertWordPieceTokenizer(lowercase=True)
    learner.train_from_iterator(texts, vocab_size=size, min_frequency=2, show_progress=False)
    with tempfile.TemporaryDirectory() as name:
        learner.save_model(name)
        vocab = {line: i for i, line in enumerate(Path(name, "vocab.txt").read_text(encoding="utf-8").splitlines())}
    tokenizer = BertTokenizerFast(vocab=vocab, do_lower_case=True, model_max_length=512)
    tokenizer.save_pretrained(folder)
    return tokenizer


def small_bert(vocab_size: int, *, hidden: int = 256, layers: int = 4) -> BertConfig:
    """The shape of BERT-mini (Turc et al. 2019)."""
    return BertConfig(
        vocab_size=vocab_size,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 64,
        intermediate_size=hidden * 4,
        max_position_embeddings=512,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )


def pretrain(
    config: BertConfig,
    tokenizer: Any,
    texts: Sequence[str],
    folder: Path,
    *,
    steps: int,
    tokens: int = 128,
    batch_size: int = 32,
    learning_rate: float = 5e-4,
    seed: int = 0,
    on_step: Callable[[int, float], None] = lambda step, loss: None,
) -> None:
    """Masked-language-model training from scratch on unlabelled texts; resumes from `folder`."""
    torch.manual_seed(seed)
    model = BertForMaskedLM(config)
    start = 0
    if (folder / "mlm.json").exists():
        model = BertForMaskedLM.from_pretrained(folder)
        start = json.loads((folder / "mlm.json").read_text(encoding="utf-8"))["step"]
    ids = np.concatenate([np.array(tokenizer(text, add_special_tokens=False).input_ids, np.int32) for text in texts])
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.01)
    model.train()
    for step in range(start, steps):
        rng = np.random.default_rng((seed, step))
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * min(1.0, (step + 1) / 200, (steps - step) / max(1, steps * 0.5))
        at = rng.integers(0, len(ids) - tokens, batch_size)
        inputs = np.stack([ids[i : i + tokens] for i in at]).astype(np.int64)
        chosen = rng.random(inputs.shape) < 0.15
        labels = np.where(chosen, inputs, -100)
        kind = rng.random(inputs.shape)
        inputs = np.where(chosen & (kind < 0.8), tokenizer.mask_token_id, inputs)
        inputs = np.where(chosen & (kind >= 0.9), rng.integers(5, config.vocab_size, inputs.shape), inputs)
        with torch.autocast("cpu", torch.bfloat16):
            hidden = model.bert(torch.from_numpy(inputs)).last_hidden_state
            picked = torch.from_numpy(chosen)
            scores = model.cls(hidden[picked])
        loss = functional.cross_entropy(scores.float(), torch.from_numpy(labels)[picked])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        on_step(step + 1, float(loss.detach()))
        if (step + 1) % 500 == 0 or step + 1 == steps:
            model.save_pretrained(folder)
            (folder / "mlm.json").write_text(json.dumps({"step": step + 1}), encoding="utf-8")


def train_topics(
    base: str,
    folder: Path,
    train: Sequence[tuple[str, str]],
    validation: Sequence[tuple[str, str]],
    options: TopicTraining,
    on_progress: Callable[[int, int, float, float | None], None] = lambda epoch, step, loss, accuracy: None,
) -> dict[str, Any]:
    """Fine-tune `base` on (text, label) pairs; keeps the epoch with the best validation accuracy in `folder`."""
    labels = sorted({label for _, label in train})
    tokenizer = AutoTokenizer.from_pretrained(base)
    torch.manual_seed(options.seed)
    model = AutoModelForSequenceClassification.from_pretrained(
        base, num_labels=len(labels), id2label=dict(enumerate(labels)), label2id={n: i for i, n in enumerate(labels)}
    )
    vocabulary = sorted({word for text, _ in train for word in as_speech(text).split()})
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay)
    written = [(text, as_speech(text), labels.index(label)) for text, label in train]
    per_epoch = math.ceil(len(written) / options.batch_size)
    best, history = -1.0, []
    started = time.monotonic()
    for epoch in range(options.epochs):
        model.train()
        order = np.random.default_rng((options.seed, epoch)).permutation(len(written))
        losses = []
        for number in range(per_epoch):
            step = epoch * per_epoch + number
            rng = np.random.default_rng((options.seed, epoch, number))
            chosen = [written[int(i)] for i in order[number * options.batch_size : (number + 1) * options.batch_size]]
            rows = _pieces(tokenizer, [_varied(t, s, options, rng, vocabulary) for t, s, _ in chosen], options, rng)
            batch = tokenizer.pad({"input_ids": rows}, return_tensors="pt")
            for group in optimizer.param_groups:
                whole = options.epochs * per_epoch
                group["lr"] = options.learning_rate * min(
                    1.0, (step + 1) / (whole * 0.1), (whole - step) / (whole * 0.9)
                )
            with torch.autocast("cpu", torch.bfloat16, enabled=options.bf16):
                logits = model(**batch).logits
            target = torch.tensor([label for *_, label in chosen])
            loss = functional.cross_entropy(logits.float(), target, label_smoothing=options.smoothing)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            losses.append(float(loss.detach()))
            on_progress(epoch, number, losses[-1], None)
        score = accuracy(model, tokenizer, validation, labels, options.max_tokens)
        history.append({"epoch": epoch, "loss": float(np.mean(losses)), "accuracy": score})
        on_progress(epoch, per_epoch, history[-1]["loss"], score)
        if score >= best:
            best = score
            model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
    return {
        "best_accuracy": best,
        "history": history,
        "seconds": time.monotonic() - started,
        "options": asdict(options),
    }


def _varied(
    written: str, spoken: str, options: TopicTraining, rng: np.random.Generator, vocabulary: Sequence[str]
) -> str:
    if rng.random() < 0.25:
        return written.lower()
    return with_errors(spoken, rng.uniform(0, 1.5 * options.noise), rng, vocabulary)


def _pieces(tokenizer: Any, texts: Sequence[str], options: TopicTraining, rng: np.random.Generator) -> list[list[int]]:
    """A stretch of each text, all of one random length."""
    length = int(rng.integers(options.min_tokens, options.max_tokens))
    stretches = []
    for text in texts:
        words = text.split()
        start = int(rng.integers(0, max(1, len(words) - length // 2)))
        stretches.append(" ".join(words[start : start + length]))
    rows: list[list[int]] = tokenizer(stretches, truncation=True, max_length=length).input_ids
    return rows


@torch.inference_mode()
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
        best = model(**batch).logits.argmax(-1).tolist()
        right += sum(labels[i] == label for i, (_, label) in zip(best, chosen, strict=True))
    return right / max(1, len(pairs))


__all__ = ["BertForSequenceClassification", "TopicTraining", "make_tokenizer", "pretrain", "small_bert", "train_topics"]
