"""Topics of a text by a BERT-like classifier: long texts in overlapping pieces, for the whole video and by window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tasks.arrays import Array
from tasks.errors import OutOfMemory
from tasks.models.load import BatchSize, choose_device, loaded_once, pretrained
from tasks.records import Metadata, Topic, Word

WHAT, KIND = "topic model", "a text classifier"
BATCH = 16


@dataclass(frozen=True)
class TopicModel:
    """A loaded classifier; pieces have at most `max_tokens` tokens and overlap by a quarter."""

    name: str
    model: Any
    tokenizer: Any
    labels: tuple[str, ...]
    max_tokens: int
    device: torch.device
    batch: BatchSize = field(default_factory=lambda: BatchSize(BATCH))

    def scores(self, texts: Sequence[str]) -> Array:
        """Probabilities, shape (texts, labels): the mean over a text's pieces, weighted by their tokens."""
        cut = self.tokenizer(
            list(texts),
            truncation=True,
            max_length=self.max_tokens,
            stride=self.max_tokens // 4,
            return_overflowing_tokens=True,
        )
        pieces: list[list[int]] = cut["input_ids"]
        owner: list[int] = cut["overflow_to_sample_mapping"]
        out = np.zeros((len(texts), len(self.labels)), np.float64)
        weight = np.zeros(len(texts))
        order = sorted(range(len(pieces)), key=lambda i: len(pieces[i]))
        done = 0
        while done < len(order):
            chosen = order[done : done + self.batch.items]
            done += len(chosen)
            rows = self.batch.forward(self._forward, [pieces[i] for i in chosen], self._one_is_too_large)
            for i, row in zip(chosen, rows, strict=True):
                share = len(pieces[i])
                out[owner[i]] += share * row
                weight[owner[i]] += share
        mean: Array = out / np.maximum(weight, 1)[:, None]
        return mean

    def _one_is_too_large(self) -> OutOfMemory:
        return OutOfMemory(
            f"A piece of {self.max_tokens} tokens does not fit into memory with {self.name}.",
            next="Use a smaller model.",
        )

    @torch.inference_mode()
    def _forward(self, pieces: Sequence[list[int]]) -> Array:
        batch = self.tokenizer.pad({"input_ids": list(pieces)}, return_tensors="pt").to(self.device)
        probabilities: Array = torch.softmax(self.model(**batch).logits.float(), dim=-1).cpu().numpy()
        return probabilities


def load_topics(name: str, *, revision: str | None = None, device: str = "auto") -> TopicModel:
    """Load a text-classification model once for this process.

    Raises:
        ModelNotAvailable: it is not on this machine, or is no classifier.
    """
    return loaded_once(("topics", name, revision, device), lambda: _load(name, revision, device))


def _load(name: str, revision: str | None, device: str) -> TopicModel:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    where = torch.device(choose_device(device))
    tokenizer = pretrained(AutoTokenizer, name, WHAT, KIND, revision=revision)
    model = pretrained(
        AutoModelForSequenceClassification,
        name,
        WHAT,
        KIND,
        revision=revision,
        use_safetensors=True,
        dtype=torch.float32,
    )
    model = model.to(where).eval()
    longest = min(int(getattr(model.config, "max_position_embeddings", 512)), 512)
    labels = tuple(str(model.config.id2label[i]) for i in range(model.config.num_labels))
    return TopicModel(Path(name).name if Path(name).is_dir() else name, model, tokenizer, labels, longest, where)


def text_windows(words: Sequence[Word], window_ms: int) -> list[tuple[int, int, str]]:
    """(start, end, text) of stretches of about `window_ms`, cut at the longest pause near the border."""
    out: list[tuple[int, int, str]] = []
    first = 0
    while first < len(words):
        begin = words[first].start_ms
        last = first
        while last + 1 < len(words) and words[last + 1].end_ms - begin <= window_ms * 1.2:
            last += 1
        if last + 1 < len(words):
            near = [i for i in range(first, last + 1) if words[i].end_ms - begin >= window_ms * 0.8] or [last]
            last = max(near, key=lambda i: words[i + 1].start_ms - words[i].end_ms)
        out.append((begin, words[last].end_ms, " ".join(w.word for w in words[first : last + 1])))
        first = last + 1
    return out


def classify(
    model: TopicModel, metadata: Metadata, words: Sequence[Word], duration_ms: int, *, window_s: float, keep: int
) -> list[Topic]:
    """Topics of a video (over title, description and transcript) and of its windows (transcript alone).

    A video without a word has topics only if its description says something.
    """
    spoken = " ".join(word.word for word in words)
    about = " ".join(filter(None, (metadata.title, metadata.description)))
    if not spoken and not metadata.description:
        return []
    windows = text_windows(words, round(window_s * 1000))
    scores = model.scores([f"{about}. {spoken}".lower(), *(text for _, _, text in windows)])
    spans = [("video", 0, duration_ms), *(("window", start, end) for start, end, _ in windows)]
    topics: list[Topic] = []
    for (scope, start, end), row in zip(spans, scores, strict=True):
        for rank, label in enumerate(np.argsort(-row, kind="stable")[:keep], 1):
            score = round(float(row[label]), 5)
            topics.append(Topic(scope, start, end, rank, model.labels[label], score, model.name))  # type: ignore[arg-type]
    return topics
