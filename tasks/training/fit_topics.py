"""A training run of a topic classifier from a table of texts to a model folder with its card."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from tasks.errors import Misconfigured
from tasks.manifest import Problems
from tasks.training.cards import card, flat_options
from tasks.training.copies import near_copies
from tasks.training.fit import SCRATCH, same_run
from tasks.training.lm_text import read_sentences
from tasks.training.noise import ALPHABET, as_speech
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
    same_run(folder, {"manifest": str(manifest.resolve()), "base": base, "seed": options.seed})
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
    summary = train_topics(base, folder, kept, judged, options, on_progress)
    made = {
        "data": f"{manifest.name}: {len(kept)} texts, {len(labels)} labels",
        "labels": ", ".join(sorted(labels)),
        "validation": f"accuracy {summary['best_accuracy']:.1%} on {len(judged)} texts as speech",
        "made": datetime.now(UTC).strftime("%Y-%m-%d"),
    }
    text = card(folder.name, "A topic classifier.", made, flat_options(summary["options"]), problems.lines())
    (folder / "best" / "README.md").write_text(text, encoding="utf-8")
    return {**summary, "texts": len(kept), "problems": problems.lines()}


def split(pairs: Pairs, share: float, *, seed: int) -> tuple[Pairs, Pairs]:
    """About `share` of the texts kept back, none of them a near copy of one that is trained on."""
    groups = np.array(near_copies([text for text, _ in pairs]))
    order = np.random.default_rng(seed).permutation(np.unique(groups))
    sizes = np.bincount(groups)[order]
    back = set(order[np.cumsum(sizes) <= share * len(pairs)].tolist())
    kept = [pair for pair, group in zip(pairs, groups, strict=True) if int(group) not in back]
    return kept, [pair for pair, group in zip(pairs, groups, strict=True) if int(group) in back]


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
    lines = list(read_sentences(unlabelled, ALPHABET))
    others = [" ".join(lines[i : i + LINES]) for i in range(0, len(lines), LINES)]
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = make_tokenizer([*others, *own * 3], VOCABULARY, folder)
    texts = [*own * REPEATS, *others]
    mixed = [texts[int(i)] for i in np.random.default_rng(options.seed).permutation(len(texts))]
    pretrain(small_bert(len(tokenizer)), tokenizer, mixed, folder, steps=steps, seed=options.seed, on_step=on_step)
