"""The beam search of pyctcdecode (0.5.0) for models that write letters, several times as fast.

It finds what pyctcdecode finds: beginnings of texts, each with the probability of all ways to say it that end in a blank and of those
that do not (Graves and Jaitly, "Towards end-to-end speech recognition with recurrent neural networks", 2014), the words of a language
model, hot words, and the same pruning. Language models, hot words and alphabets are pyctcdecode's. What makes it faster: a beginning
is one object, which knows those that go on from it, so that no text is put together, hashed or scored twice; numbers are Python's;
what cannot come near the best is not made at all; and no times are kept, as words are aligned afterwards.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator, Sequence
from math import exp, inf, log1p
from operator import itemgetter
from typing import Any

import numpy as np
from pyctcdecode.alphabet import Alphabet
from pyctcdecode.decoder import BeamSearchDecoderCTC
from pyctcdecode.language_model import AbstractLanguageModel, HotwordScorer

from tasks.arrays import Array
from tasks.speech.hot_words import Unspaced
from tasks.speech.labels import UNWRITABLE, are_subwords

SPACE = " "
MOST_BEGUN = 200_000  # beginnings of words that are remembered


class Beginning:
    """A text as far as it is said: whole words and the letters of one that has begun. Its parts of the score: `heard` of the whole
    words, `total` with what the begun one costs, or as a hot word gains."""

    __slots__ = ("children", "heard", "last", "part", "raw", "state", "text", "total")

    def __init__(self, text: str, part: str, last: str, raw: float, state: Any, heard: float, total: float) -> None:
        self.text, self.part, self.last = text, part, last
        self.raw, self.state, self.heard, self.total = raw, state, heard, total
        self.children: dict[str, Beginning] | None = None


class Grower:
    """Makes beginnings, with the scores that a language model and hot words give them."""

    def __init__(
        self, language_model: Any, hot_words: HotwordScorer | None, start: Any, begun: dict[str, float]
    ) -> None:
        """`begun` keeps what the language model says of beginnings of words, also for other texts."""
        self.language_model, self.hot_words, self._known = language_model, hot_words, begun
        if language_model is not None and start is None:
            start = language_model.get_start_state()
        self.root = Beginning("", "", SPACE, 0.0, start, 0.0, 0.0)
        # At most so much does a word gain by its end; less than nothing it never costs.
        self.most = max(0.0, language_model.beta) if language_model is not None else 0.0

    def grow(self, before: Beginning, letter: str, least: float) -> Beginning | None:
        """The beginning that goes on with a letter, or ends its word with a space; none where its total is below `least`."""
        if letter == SPACE:
            if not before.part:
                return before  # a space after a space says nothing
            grown = self._ended(before, is_last=False)
        else:
            part = before.part + letter
            total = before.heard + self._begun(part)
            if total < least:
                return None
            grown = Beginning(before.text, part, letter, before.raw, before.state, before.heard, total)
        if before.children is None:
            before.children = {}
        before.children[letter] = grown
        return grown

    def end(self, last: Beginning) -> Beginning:
        """The text that ends here: what has begun is a word, the last one."""
        return self._ended(last, is_last=True)

    def _ended(self, before: Beginning, *, is_last: bool) -> Beginning:
        text = f"{before.text} {before.part}" if before.text and before.part else before.text + before.part
        raw, state = before.raw, before.state
        if self.language_model is not None:
            score, state = self.language_model.score(before.state, before.part, is_last_word=is_last)
            raw += score
        heard = raw + self.hot_words.score(text) if self.hot_words else raw
        return Beginning(text, "", SPACE, raw, state, heard, heard)

    def _begun(self, part: str) -> float:
        if self.hot_words is not None and part in self.hot_words:
            scored: float = self.hot_words.score_partial_token(part)
            return scored
        known = self._known.get(part)
        if known is None:
            known = 0.0 if self.language_model is None else self.language_model.score_partial_token(part)
            if len(self._known) >= MOST_BEGUN:
                self._known.clear()
            self._known[part] = known
        return known


class Decoder(BeamSearchDecoderCTC):  # type: ignore[misc]  # pyctcdecode has no types
    """pyctcdecode's decoder, whose hot words are `Unspaced`, and whose search is the one of this module where every label is a
    letter."""

    def __init__(self, alphabet: Alphabet, language_model: AbstractLanguageModel | None = None) -> None:
        super().__init__(alphabet, language_model)
        self._begun: dict[str, float] = {}

    def _decode_logits(
        self,
        logits: Array,
        beam_width: int,
        beam_prune_logp: float,
        token_min_logp: float,
        prune_history: bool,
        hotword_scorer: HotwordScorer,
        lm_start_state: Any = None,
    ) -> Any:
        hot_words = Unspaced(hotword_scorer)
        labels = self._alphabet.labels
        if prune_history or not are_letters(labels):
            return super()._decode_logits(
                logits, beam_width, beam_prune_logp, token_min_logp, prune_history, hot_words, lm_start_state
            )
        grower = Grower(self._language_model, hot_words if hot_words.any else None, lm_start_state, self._begun)
        with _uncollected():
            beams = search(logits, labels, grower, width=beam_width, prune=beam_prune_logp, floor=token_min_logp)
        ended: dict[str, tuple[float, float]] = {}
        for beginning, score in beams:
            whole = grower.end(beginning)
            before = ended.get(whole.text, (-inf, -inf))[0]
            score = _sum(before, score)
            ended[whole.text] = (score, score + whole.total)
        best = max(total for _, total in ended.values())
        found: list[tuple[str, None, list[Any], float, float]] = [
            (text, None, [], score, total) for text, (score, total) in ended.items() if total >= best + beam_prune_logp
        ]
        return sorted(found, key=itemgetter(-1), reverse=True)[:beam_width]


def are_letters(labels: Sequence[str]) -> bool:
    """Whether a text is spelled in one way: no label is what others are together."""
    return (
        "" in labels
        and UNWRITABLE not in labels
        and not are_subwords(labels)
        and all(len(label) <= 1 or label.startswith(UNWRITABLE) for label in labels)
    )


def search(
    logits: Array, labels: list[str], grower: Grower, *, width: int, prune: float, floor: float
) -> list[tuple[Beginning, float]]:
    """The beginnings that are left after the last frame, with the log-probability of their sound.

    `logits` are log-probabilities (frames, tokens); of `labels`, one is empty: the blank. Tokens below `floor` are not looked at, but
    for the likeliest of a frame; beginnings that are more than `prune` below the best, or not among the `width` best, are left.
    """
    hot = grower.hot_words is not None
    beams: list[tuple[Beginning, float, float]] = [(grower.root, 0.0, -inf)]
    for letters in _likely(logits, labels, floor):
        quiet = letters.pop("", -inf)
        best = -inf
        grown: dict[Beginning, tuple[float, float]] = {}
        sums: list[float] = []
        for beginning, blank, spoken in beams:
            if spoken == -inf:
                either = blank
            elif blank >= spoken:
                either = blank + log1p(exp(spoken - blank))
            else:
                either = spoken + log1p(exp(blank - spoken))
            sums.append(either)
            again = letters.get(beginning.last)
            blank, spoken = either + quiet, -inf if again is None else spoken + again
            grown[beginning] = (blank, spoken)
            score = (blank if blank > spoken else spoken) + beginning.total
            if score > best:
                best = score
        for letter, likely in letters.items():
            # The most that can come of it: a begun word that is none costs the more, the longer it is; an ended one gains no more.
            ends = letter == SPACE
            least = (-inf if hot else best + prune) - likely - (grower.most if ends else 0.0)
            for (beginning, blank, _), either in zip(beams, sums, strict=True):
                score = blank if letter == beginning.last else either
                if score + (beginning.heard if ends else beginning.total) < least:
                    continue
                score += likely
                after = beginning.children.get(letter) if beginning.children else None
                if after is None:
                    after = grower.grow(beginning, letter, least + likely - score if not ends else -inf)
                    if after is None:
                        continue
                had = grown.get(after)
                if had is not None:
                    score = _sum(had[1], score)
                    grown[after] = (had[0], score)
                else:
                    grown[after] = (-inf, score)
                score += after.total
                if score > best:
                    best = score
        least = best + prune
        scores = [
            score
            for beginning, both in grown.items()
            for score in (both[0] + beginning.total, both[1] + beginning.total)
            if score >= least
        ]
        if len(scores) > width:
            scores.sort(reverse=True)
            least = scores[width - 1]
        beams = []
        for beginning, (blank, spoken) in grown.items():
            total = beginning.total  # added as above: the least of those that are kept is rounded so
            if blank + total >= least:
                beams.append((beginning, blank, spoken if spoken + total >= least else -inf))
            elif spoken + total >= least:
                beams.append((beginning, -inf, spoken))
    return [(beginning, _sum(blank, spoken)) for beginning, blank, spoken in beams]


def _likely(logits: Array, labels: list[str], floor: float) -> list[dict[str, float]]:
    """For each frame, the labels that are looked at, with their log-probabilities."""
    looked_at = logits >= floor
    looked_at[np.arange(len(logits)), logits.argmax(axis=1)] = True
    found: list[dict[str, float]] = [{} for _ in range(len(logits))]
    frames, tokens = np.nonzero(looked_at)
    for frame, token, value in zip(frames.tolist(), tokens.tolist(), logits[frames, tokens].tolist(), strict=True):
        found[frame][labels[token]] = value
    return found


@contextlib.contextmanager
def _uncollected() -> Iterator[None]:
    """Without Python's search for circles among objects, of which a beam search has none: it would go over all of them again and
    again, and take longer than the search."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _sum(one: float, other: float) -> float:
    """The logarithm of the sum of two probabilities."""
    if one >= other:
        return one if other == -inf else one + log1p(exp(other - one))
    return other if one == -inf else other + log1p(exp(one - other))
