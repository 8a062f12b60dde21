"""KenLM in pyctcdecode's beam search, with the end of a text scored as what it is."""

from __future__ import annotations

from typing import Any

import kenlm
from pyctcdecode.constants import LOG_BASE_CHANGE_FACTOR
from pyctcdecode.language_model import LanguageModel, load_unigram_set_from_arpa


class EndsInSpace(LanguageModel):  # type: ignore[misc]  # pyctcdecode has no types
    """A language model for which no word is no word.

    At the end of the search pyctcdecode (0.5.0) scores what follows the last space of every beam as a last word. Where a
    beam ends in a space, as models write it after the last word they hear, that is the empty string: an unknown word, so
    that the beam loses to one whose last letter is missing ("five two sen"). Here it costs the end of the sentence only.
    """

    def score(self, prev_state: Any, word: str, is_last_word: bool = False) -> tuple[float, Any]:
        if word:
            scored: tuple[float, Any] = super().score(prev_state, word, is_last_word=is_last_word)
            return scored
        end = self._get_raw_end_score(prev_state) if is_last_word else 0.0
        return self.alpha * end * LOG_BASE_CHANGE_FACTOR, prev_state


def open_language_model(
    path: str,
    unigrams: list[str] | None,
    *,
    weight: float,
    word_bonus: float,
    unknown_score: float,
    score_boundary: bool = True,
) -> EndsInSpace:
    """A KenLM file with the words it knows, weighted for the beam search. One in ARPA format lists them itself."""
    if unigrams is None and path.endswith(".arpa"):
        unigrams = sorted(load_unigram_set_from_arpa(path))
    return EndsInSpace(
        kenlm.Model(path),
        unigrams,
        alpha=weight,
        beta=word_bonus,
        unk_score_offset=unknown_score,
        score_boundary=score_boundary,
    )
