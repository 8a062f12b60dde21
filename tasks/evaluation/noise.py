"""Text as speech recognition gives it: lower case, no punctuation, numbers as words, and some words wrong."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tasks.evaluation.scores import normalised


def as_speech(text: str, language: str = "en") -> str:
    """A written text as it would be transcribed without a mistake, in any script."""
    return normalised(text, language)


def with_errors(text: str, share: float, rng: np.random.Generator, vocabulary: Sequence[str]) -> str:
    """`share` of the words wrong: half replaced by another word, a quarter misspelt, a quarter missing or doubled."""
    out: list[str] = []
    for word in text.split():
        if rng.random() >= share:
            out.append(word)
            continue
        kind = rng.random()
        if kind < 0.5:
            out.append(vocabulary[int(rng.integers(len(vocabulary)))])
        elif kind < 0.75 and len(word) > 2:
            at = int(rng.integers(len(word)))
            other = vocabulary[int(rng.integers(len(vocabulary)))]
            out.append(word[:at] + other[int(rng.integers(len(other)))] + word[at + int(rng.integers(2)) :])
        elif kind < 0.9:
            continue
        else:
            out += [word, word]
    return " ".join(out)
