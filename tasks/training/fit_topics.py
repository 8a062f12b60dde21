"""A training run of a topic classifier from a table of texts to a model folder with its card."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from tasks.errors import Misconfigured
from tasks.evaluation.cards import card, flat_options
from tasks.evaluation.manifest import Problems
from tasks.evaluation.near_copies import near_copies
from tasks.evaluation.noise import as_speech
from tasks.machine.folders import recover, same_run, write_whole
from tasks.training.fit import SCRATCH
from tasks.training.lm_text import text_sentences
from tasks.training.topics import TopicTraining, train_topics
from tasks.training.topics_scratch import make_tokenizer, pretrain, small_bert

Pairs = Sequence[tuple[str, str]]
VOCABULARY = 8000
LINES = 40  # sentences of unlabelled text that are one text of the pretraining
REPEATS = 6  # of the labelled texts in it: they are few, and what will be read is like them


def fit_topics(
    train: Pairs,
    folder: Path,
    *,
    manifest: Path,
    base: str,
    options: TopicTraining,
    problems: Problems,
    validation: Pairs = (),
    validation_share: float = 0.1,
    unlabelled: Sequence[Path] = (),
    pretrain_steps: int = 3000,
    on_pretrain: Callable[[int, float], None] = lambda step, loss: None,
    on_progress: Callable[[int, int, float, float | None], None] = lambda step, total, loss, accuracy: None,
) -> dict[str, Any]:
    """Train `base` (a folder, a hub id, or `scratch`) in `folder`; a run that was killed goes on.

    Afterwards `folder/best` is a classifier with its card. Without `validation`, a share of the texts is kept back, near
    copies together.

    Raises:
        Misconfigured: too few texts or labels, or `folder` holds another run.
    """
    this = _identity(train, validation, unlabelled, base, options, pretrain_steps)
    same_run(folder, this, made=("last", "best", "pretrained"))
    kept, judged = (train, validation) if validation else split(train, validation_share, seed=options.seed)
    labels = {label for _, label in kept}
    if len(labels) < 2 or not judged:
        raise Misconfigured(
            f"{len(kept)} texts with {len(labels)} labels are too few to train on.",
            next="Give more, and two labels at least.",
        )
    if base == SCRATCH:
        base = str(folder / "pretrained")
        _pretrained(Path(base), kept, unlabelled, options, pretrain_steps, on_pretrain)
    trained = False

    def noted(step: int, total: int, loss: float, accuracy: float | None) -> None:
        nonlocal trained
        trained = True
        on_progress(step, total, loss, accuracy)

    summary = train_topics(base, folder, kept, judged, options, noted)
    made = {
        "data": f"{manifest.name}: {len(kept)} texts, {len(labels)} labels",
        "labels": ", ".join(sorted(labels)),
        "validation": f"accuracy {summary['best_accuracy']:.1%} on {len(judged)} texts as speech",
        "made": datetime.now(UTC).strftime("%Y-%m-%d"),
    }
    card_file = folder / "best" / "README.md"
    if trained or not card_file.exists():  # a run that was over keeps the tables that `evaluate --card` put there
        text = card(folder.name, "A topic classifier.", made, flat_options(summary["options"]), problems.lines())
        write_whole(card_file, text)
    return {**summary, "texts": len(kept), "problems": problems.lines()}


def split(pairs: Pairs, share: float, *, seed: int) -> tuple[Pairs, Pairs]:
    """About `share` of the texts kept back, none of them a near copy of one that is trained on."""
    groups = near_copies([text for text, _ in pairs])
    sizes = Counter(groups)
    left = Counter(label for _, label in pairs)  # of each label, one text at least is trained on
    labels: dict[int, Counter[str]] = defaultdict(Counter)
    for (_, label), group in zip(pairs, groups, strict=True):
        labels[group][label] += 1
    back: set[int] = set()
    room = share * len(pairs)
    for group in np.random.default_rng(seed).permutation(sorted(sizes)):
        own = labels[int(group)]
        if sizes[int(group)] <= room and all(left[label] > n for label, n in own.items()):
            back.add(int(group))
            room -= sizes[int(group)]
            left -= own
    kept = [pair for pair, group in zip(pairs, groups, strict=True) if group not in back]
    return kept, [pair for pair, group in zip(pairs, groups, strict=True) if group in back]


def _identity(
    train: Pairs, validation: Pairs, unlabelled: Sequence[Path], base: str, options: TopicTraining, steps: int
) -> dict[str, Any]:
    """All that decides what a step of this run is."""
    texts = hashlib.sha256(json.dumps([list(train), list(validation)]).encode()).hexdigest()
    read = [hashlib.sha256(path.read_bytes()).hexdigest() for path in unlabelled if path.is_file()]
    return {"texts": texts, "unlabelled": read, "base": base, "options": asdict(options), "pretrain_steps": steps}


def _pretrained(
    folder: Path,
    pairs: Pairs,
    unlabelled: Sequence[Path],
    options: TopicTraining,
    steps: int,
    on_step: Callable[[int, float], None],
) -> None:
    """A small BERT in `folder` that has read the texts, without their labels, and the unlabelled ones."""
    own = [as_speech(text) for text, _ in pairs]
    lines = [spoken for sentence in text_sentences(unlabelled) if (spoken := as_speech(sentence))]
    others = [" ".join(lines[i : i + LINES]) for i in range(0, len(lines), LINES)]
    recover(folder)
    tokenizer = make_tokenizer([*others, *own * 3], VOCABULARY, folder)
    texts = [*own * REPEATS, *others]
    mixed = [texts[int(i)] for i in np.random.default_rng(options.seed).permutation(len(texts))]
    pretrain(small_bert(len(tokenizer)), tokenizer, mixed, folder, steps=steps, seed=options.seed, on_step=on_step)
