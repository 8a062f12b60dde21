"""Accuracy of a topic classifier, on texts as written and as speech recognition gives them, beside a linear baseline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from tasks.arrays import Array
from tasks.errors import Misconfigured
from tasks.evaluation.linear import linear_baseline
from tasks.evaluation.manifest import Problems, read_manifest, strings
from tasks.evaluation.near_copies import near_copies
from tasks.evaluation.noise import as_speech, with_errors
from tasks.evaluation.scores import interval
from tasks.text.topics import TopicModel

ERRORS = 0.2
FOLDS = 5


def read_texts(
    manifest: Path, problems: Problems, *, text_column: str = "text", label_column: str = "label"
) -> list[tuple[str, str]]:
    """(text, label) of the rows that have both; the others are added to `problems`.

    Raises:
        Misconfigured: no manifest, a column is missing, or no row is left.
    """
    table = read_manifest(manifest, text_column, label_column, problems=problems)
    pairs = []
    for row, (text, label) in enumerate(zip(strings(table, text_column), strings(table, label_column), strict=True), 1):
        if text and label:
            pairs.append((text, label))
        else:
            problems.add("empty text" if not text else "no label", f"row {row}")
    if not pairs:
        raise Misconfigured(f"No row of {manifest} has a text and a label.", next="Check the columns.")
    return pairs


def evaluate_topics(
    model: TopicModel, pairs: Sequence[tuple[str, str]], *, train: Sequence[tuple[str, str]] = (), seed: int = 0
) -> dict[str, Any]:
    """What `evaluate topics --json` prints (see the docs).

    `variants` has the texts as written, as speech, and as speech with one word in five wrong. The baseline is trained on
    `train`, and texts that are near copies of those are not judged; without it, it is cross-validated on `pairs`.

    Raises:
        Misconfigured: a label that the model does not know, or every text is a copy of one that was trained on.
    """
    given = len(pairs)
    pairs = _unseen(pairs, train)
    unknown = sorted({label for _, label in pairs} - set(model.labels))
    if unknown:
        raise Misconfigured(
            f"{model.name} has no label {', '.join(unknown)}; it knows {', '.join(model.labels)}.",
            next="Judge it on texts with its own labels.",
        )
    texts, true = [text for text, _ in pairs], [label for _, label in pairs]
    rng = np.random.default_rng(seed)
    spoken = [as_speech(text) for text in texts]
    vocabulary = sorted({word for text in spoken for word in text.split()})
    variants = {
        "written": [text.lower() for text in texts],
        "speech": spoken,
        "speech_errors": [with_errors(text, ERRORS, rng, vocabulary) for text in spoken],
    }
    baseline = _baseline(variants, true, train)
    said = {name: [model.labels[int(i)] for i in model.scores(rows).argmax(1)] for name, rows in variants.items()}
    scores = {name: {**_scores(true, said[name]), "baseline_accuracy": baseline[name]} for name in variants}
    return {
        "n": len(pairs),
        **scores["written"],
        "labels": list(model.labels),
        "confusion": confusion_matrix(true, said["written"], labels=list(model.labels)).tolist(),
        "variants": scores,
        "baseline": "TF-IDF and logistic regression, "
        + (f"trained on {len(train)} texts" if train else f"{FOLDS}-fold cross-validation on the same texts"),
        "near_copies_left_out": given - len(pairs),
    }


def _scores(true: Sequence[str], said: Sequence[str]) -> dict[str, Any]:
    right: Array = np.array([t == s for t, s in zip(true, said, strict=True)], np.float64)
    return {
        "accuracy": round(float(accuracy_score(true, said)), 4),
        "accuracy_ci95": list(interval(len(right), lambda drawn: right[drawn].mean(1))),
        "macro_f1": round(float(f1_score(true, said, average="macro")), 4),
    }


def _unseen(pairs: Sequence[tuple[str, str]], train: Sequence[tuple[str, str]]) -> Sequence[tuple[str, str]]:
    """The pairs that are no near copy of a training text."""
    if not train:
        return pairs
    groups = near_copies([text for text, _ in [*pairs, *train]])
    seen = set(groups[len(pairs) :])
    kept = [pair for pair, group in zip(pairs, groups, strict=False) if group not in seen]
    if not kept:
        raise Misconfigured("Every text is a copy of one that was trained on.", next="Judge by other texts.")
    return kept


def _baseline(
    variants: dict[str, list[str]], true: Sequence[str], train: Sequence[tuple[str, str]]
) -> dict[str, float | None]:
    """Accuracy on each variant; none where there are too few texts for a linear model."""
    try:
        if train:
            fitted = linear_baseline().fit([as_speech(text) for text, _ in train], [label for _, label in train])
            said = {name: fitted.predict(rows) for name, rows in variants.items()}
        else:
            if min(true.count(label) for label in set(true)) < FOLDS:
                return dict.fromkeys(variants)
            folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
            said = {name: cross_val_predict(linear_baseline(), rows, true, cv=folds) for name, rows in variants.items()}
    except ValueError:  # one label only, or no word that two texts have
        return dict.fromkeys(variants)
    return {name: round(float(accuracy_score(true, predicted)), 4) for name, predicted in said.items()}
