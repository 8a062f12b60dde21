"""Topics of a text by a BERT-like classifier: long texts in overlapping pieces, for the whole video and by window."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tasks.arrays import Array
from tasks.errors import ModelNotAvailable, first_line
from tasks.quiet import quiet_transformers
from tasks.records import Metadata, Topic, Word
from tasks.speech.acoustic import choose_device

_LOCK = threading.Lock()
_LOADED: dict[tuple[str, str | None, str], TopicModel] = {}
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
        for start in range(0, len(order), BATCH):
            chosen = order[start : start + BATCH]
            for i, row in zip(chosen, self._forward([pieces[i] for i in chosen]), strict=True):
                share = len(pieces[i])
                out[owner[i]] += share * row
                weight[owner[i]] += share
        mean: Array = out / np.maximum(weight, 1)[:, None]
        return mean

    @torch.inference_mode()
    def _forward(self, pieces: list[list[int]]) -> Array:
        batch = self.tokenizer.pad({"input_ids": pieces}, return_tensors="pt").to(self.device)
        probabilities: Array = torch.softmax(self.model(**batch).logits.float(), dim=-1).cpu().numpy()
        return probabilities


def load_topics(name: str, *, revision: str | None = None, device: str = "auto") -> TopicModel:
    """Load a text-classification model once for this process.

    Raises:
        ModelNotAvailable: it is not on this machine, or is no classifier.
    """
    key = (name, revision, device)
    with _LOCK:
        if key not in _LOADED:
            _LOADED[key] = _load(name, revision, device)
        return _LOADED[key]


def _load(name: str, revision: str | None, device: str) -> TopicModel:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    quiet_transformers()
    where = torch.device(choose_device(device))
    try:
        common: dict[str, Any] = {"revision": revision, "trust_remote_code": False, "local_files_only": True}
        tokenizer = AutoTokenizer.from_pretrained(name, **common)
        model = AutoModelForSequenceClassification.from_pretrained(
            name, use_safetensors=True, dtype=torch.float32, **common
        )
    except (OSError, ValueError, KeyError) as error:
        raise ModelNotAvailable(
            f"The topic model {name} is not on this machine, or is no classifier: {first_line(error)}",
            next=f"Fetch it where there is a network: nightscribe models fetch {name}",
        ) from error
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
