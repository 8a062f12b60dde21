"""Word and character errors, summed over a set, with intervals.

A set's rate is the sum of its errors over the sum of its words, so that a long clip counts for more than a short one.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import jiwer
import numpy as np

from tasks.arrays import Array
from tasks.text.spoken import straight_apostrophes, with_spoken_numbers

NORMALIZER = "nightscribe-1"
RESAMPLES = 1000


def normalised(text: str, language: str = "en") -> str:
    """The text as `NORMALIZER` compares it: NFKC, lower case, numbers as words, letters, marks and inner apostrophes.

    Accents stay: they are part of a word's spelling. A change here needs a new name.
    """
    plain = with_spoken_numbers(straight_apostrophes(unicodedata.normalize("NFKC", text)), language).lower()
    kept = (char if unicodedata.category(char)[0] in "LMN" or char == "'" else " " for char in plain)
    return " ".join(bare for word in "".join(kept).split() if (bare := word.strip("'")))


@dataclass(frozen=True)
class Errors:
    """Counts of one clip or of many: `n` reference words (or characters) and how the hypothesis differs."""

    n: int = 0
    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0

    def __add__(self, other: Errors) -> Errors:
        return Errors(
            self.n + other.n,
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
        )

    @property
    def total(self) -> int:
        return self.substitutions + self.deletions + self.insertions

    @property
    def rate(self) -> float:
        """Errors over reference words; 0 for nothing said and nothing heard."""
        return self.total / self.n if self.n else float(bool(self.total))


def word_errors(true: str, said: str) -> Errors:
    """Errors of the cheapest alignment of words (Levenshtein)."""
    found = jiwer.process_words(true, said)
    return _errors(found)


def character_errors(true: str, said: str) -> Errors:
    """As `word_errors`, of characters with spaces."""
    return _errors(jiwer.process_characters(true, said))


def _errors(found: jiwer.WordOutput | jiwer.CharacterOutput) -> Errors:
    n = found.hits + found.substitutions + found.deletions
    return Errors(n, found.substitutions, found.deletions, found.insertions)


def summed(errors: Sequence[Errors]) -> Errors:
    """All of a set's errors."""
    return sum(errors, Errors())


def interval(n: int, statistic: Callable[[Array], Array], *, level: float = 0.95, seed: int = 0) -> tuple[float, float]:
    """Bootstrap interval: `statistic` takes clip numbers of shape (resamples, n) and returns one value for each row.

    Clips are drawn with replacement (Bisani & Ney, "Bootstrap estimates for confidence intervals in ASR performance
    evaluation", 2004). The seed is fixed, so that a report can be made again.
    """
    if not n:
        return (0.0, 0.0)
    rng = np.random.default_rng(seed)
    values = np.concatenate([statistic(rng.integers(0, n, (50, n))) for _ in range(RESAMPLES // 50)])
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return (round(float(low), 4), round(float(high), 4))


def rate_interval(errors: Sequence[Errors]) -> tuple[float, float]:
    """95 % interval of a set's error rate."""
    wrong = np.array([e.total for e in errors], np.float64)
    words = np.array([e.n for e in errors], np.float64)
    return interval(len(errors), lambda drawn: wrong[drawn].sum(1) / np.maximum(words[drawn].sum(1), 1))
