"""KenLM in pyctcdecode's beam search, with the end of a text scored as what it is, and known words found quickly."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from typing import Any

import kenlm
from pyctcdecode.constants import AVG_TOKEN_LEN, LOG_BASE_CHANGE_FACTOR
from pyctcdecode.language_model import LanguageModel

from tasks.speech.labels import case_of
from tasks.speech.marks import is_of_mark

PUNCTUATION = ".,;:?!"


class KnownWords(LanguageModel):  # type: ignore[misc]  # pyctcdecode has no types
    """A language model for which no word is no word.

    At the end of the search pyctcdecode (0.5.0) scores what follows the last space of every beam as a last word. Where a
    beam ends in a space, as models write it after the last word they hear, that is the empty string: an unknown word, so
    that the beam loses to one whose last letter is missing ("five two sen"). Here it costs the end of the sentence only.

    Whether letters begin a word is asked of a sorted list: pyctcdecode's tree of all letters takes most of the time that a
    search process needs to start, and longer for each question. Words are asked for in the case that the language model has, and
    without punctuation where it has none; punctuation spelled in braces costs nothing.
    """

    def __init__(self, model: kenlm.Model, unigrams: Iterable[str] | None, **weights: Any) -> None:
        super().__init__(model, None, **weights)
        self._unigram_set = {word for word in unigrams or () if word in model}
        self._sorted = sorted(self._unigram_set)
        self._as_written = case_of(self._sorted) or str
        self._is_bare = bool(self._sorted) and not any(word.endswith(",") for word in self._sorted)

    def score_partial_token(self, partial_token: str) -> float:
        begun = self._asked(partial_token)
        if is_of_mark(begun):
            return 0.0
        at = bisect_left(self._sorted, begun)
        if at < len(self._sorted) and self._sorted[at].startswith(begun):
            return 0.0
        return self.unk_score_offset * max(1.0, len(partial_token) / AVG_TOKEN_LEN)  # type: ignore[no-any-return]

    def score(self, prev_state: Any, word: str, is_last_word: bool = False) -> tuple[float, Any]:
        word = self._asked(word)
        if word and not is_of_mark(word):
            scored: tuple[float, Any] = super().score(prev_state, word, is_last_word=is_last_word)
            return scored
        end = self._get_raw_end_score(prev_state) if is_last_word else 0.0
        return self.alpha * end * LOG_BASE_CHANGE_FACTOR, prev_state

    def _asked(self, written: str) -> str:
        """A word, or the beginning of one, as this language model would have it. A border of its own is a space."""
        word = self._as_written(written.strip())
        return word.strip(PUNCTUATION) if self._is_bare else word


def open_language_model(
    path: str,
    unigrams: list[str] | None,
    *,
    weight: float,
    word_bonus: float,
    unknown_score: float,
    score_boundary: bool = True,
) -> KnownWords:
    """A KenLM file with the words it knows, weighted for the beam search."""
    return KnownWords(
        kenlm.Model(path),
        unigrams,
        alpha=weight,
        beta=word_bonus,
        unk_score_offset=unknown_score,
        score_boundary=score_boundary,
    )
