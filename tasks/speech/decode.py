"""From emissions to words: utterances, beam search with a language model, aligned times.

Runs in a pool of processes made once a run, while the next batch is in the model; nothing here imports torch or
transformers. A pool process builds its decoder once, from a `DecoderSpec`.
"""

from __future__ import annotations

import contextlib
import copy
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from tasks.arrays import Array
from tasks.records import Word
from tasks.speech.align import align
from tasks.speech.labels import are_subwords, as_written, text_of
from tasks.speech.marks import spaced, with_marks
from tasks.speech.spec import DecoderSpec, known_words

SURE = float(np.log(0.99))


@dataclass(frozen=True)
class Utterance:
    """A stretch of speech: its first frame in the file and its log-probs, shape (frames, tokens)."""

    first_frame: int
    log_probs: Array


class UtteranceSplitter:
    """Cuts a file's emissions where the model says blank for `gap` frames or more, and utterances longer than `longest`
    at their longest pause. Silence between utterances is dropped but for a few frames.

    Consecutive pieces are pushed; memory is bounded by one piece and one utterance.
    """

    def __init__(self, blank: int, *, gap: int, longest: int) -> None:
        self.blank, self.gap, self.longest = blank, gap, longest
        self._held = np.zeros((0, 0), np.float32)
        self._first = 0

    def push(self, piece: Array) -> list[Utterance]:
        """Take the next frames; returns the utterances that are now certainly over."""
        self._held = piece if not len(self._held) else np.concatenate((self._held, piece))
        out: list[Utterance] = []
        while (cut := self._cut()) is not None:
            out += self._trimmed(self._held[:cut])
            self._held, self._first = self._held[cut:], self._first + cut
        return out

    def finish(self) -> list[Utterance]:
        """The last utterance, if any."""
        out = self._trimmed(self._held) if len(self._held) else []
        self._held = self._held[:0]
        return out

    def _cut(self) -> int | None:
        """Where the first utterance is certainly over, or what is certainly silence."""
        held, gap = self._held, self.gap
        if len(held) <= gap:
            return None
        spoken = np.flatnonzero(held.argmax(axis=1) != self.blank)
        if not len(spoken):  # keep only what may lead into speech
            return len(held) - gap
        first, last = int(spoken[0]), int(spoken[-1])
        breaks = np.flatnonzero(np.diff(spoken) > gap)
        end = int(spoken[breaks[0]]) if len(breaks) else last
        if end - first < self.longest:
            if len(breaks):
                return (end + int(spoken[breaks[0] + 1])) // 2
            return last + gap // 2 + 1 if len(held) - last > gap else None
        # Too long without a pause: at the middle of the longest blank run of its second half.
        half = first + self.longest // 2
        return half + longest_blank(held[half : first + self.longest], self.blank)

    def _trimmed(self, log_probs: Array) -> list[Utterance]:
        spoken = np.flatnonzero(log_probs.argmax(axis=1) != self.blank)
        if not len(spoken):
            return []
        margin = max(1, self.gap // 4)
        start, end = max(0, int(spoken[0]) - margin), int(spoken[-1]) + margin + 1
        return [Utterance(self._first + start, np.ascontiguousarray(log_probs[start:end]))]


def longest_blank(log_probs: Array, blank: int) -> int:
    """The middle of the longest run of frames whose best token is the blank; the likeliest blank when there is none."""
    best, best_at, run = 0, int(log_probs[:, blank].argmax()), 0
    for i, quiet in enumerate([*(log_probs.argmax(axis=1) == blank).tolist(), False]):
        if quiet:
            run += 1
            continue
        if run > best:
            best, best_at = run, i - run + run // 2
        run = 0
    return best_at


@cache
def build_decoder(spec: DecoderSpec) -> Any:
    """A pyctcdecode decoder, once a process; those that differ in weights share what is large."""
    # It warns about alphabets that it merely guesses wrong about; the alphabet here is known.
    logging.getLogger("pyctcdecode").setLevel(logging.ERROR)
    from pyctcdecode.alphabet import Alphabet

    from tasks.speech.beam import Decoder

    language_model = None
    if spec.language_model:
        loaded = _loaded(spec.language_model, spec.unigrams, spec.unknown_score, spec.score_boundary)
        language_model = copy.copy(loaded)
        language_model.alpha, language_model.beta = spec.lm_weight, spec.word_bonus
    with contextlib.redirect_stderr(None):
        return Decoder(Alphabet(list(spec.labels), are_subwords(spec.labels)), language_model)


@cache
def _loaded(path: str, unigrams: str | None, unknown_score: float, score_boundary: bool) -> Any:
    from tasks.speech.language_model import open_language_model

    words = known_words(path, unigrams)
    with contextlib.redirect_stderr(None):
        return open_language_model(
            path,
            words,
            weight=0.0,
            word_bonus=0.0,
            unknown_score=unknown_score,
            score_boundary=score_boundary,
        )


def decode_utterance(spec: DecoderSpec, utterance: Utterance, frame_ms: float) -> list[Word]:
    """Words of one utterance with their times in the file."""
    decoder = build_decoder(spec)
    written = as_written(spec.labels)
    searched = worth_searching(utterance.log_probs, spec.blank, spec.token_min_logp)
    if not len(searched):
        return []
    beams = decoder.decode_beams(
        penalised(searched, spec.blank, spec.blank_penalty),
        beam_width=spec.beam_width,
        beam_prune_logp=spec.beam_prune_logp,
        token_min_logp=spec.token_min_logp,
        hotwords=[written(word) for word in spec.hot_words] or None,
        hotword_weight=spec.hot_word_weight,
    )
    text = beams[0].text if hasattr(beams[0], "text") else beams[0][0]
    return _placed(text, utterance, spec.labels, spec.blank, frame_ms)


def worth_searching(log_probs: Array, blank: int, floor: float, sure: float = SURE) -> Array:
    """The frames that a search must look at; every frame costs it as much as any other, and a trained model is certain of most.

    Left out is what changes no text: of a run of frames that are certain of one token, all but the first; and of certain blanks
    the first too, unless a token that is above `floor` before the run is so after it, as in a double letter (Chen et al., "Phone
    synchronous speech recognition with CTC lattices", 2017, go further). Times come from all frames, by alignment.
    """
    best = log_probs.argmax(axis=1)
    certain = log_probs[np.arange(len(best)), best] > sure
    again = np.concatenate(([False], certain[1:] & certain[:-1] & (best[1:] == best[:-1])))
    kept = ~again
    left = np.flatnonzero(kept)
    possible = log_probs[left] > floor
    possible[np.arange(len(left)), best[left]] = True
    possible[:, blank] = False
    none = np.zeros((1, log_probs.shape[1]), bool)
    before, after = np.concatenate((none, possible[:-1])), np.concatenate((possible[1:], none))
    needless = certain[left] & (best[left] == blank) & ~(before & after).any(axis=1)
    kept[left[needless]] = False
    found: Array = log_probs[kept]
    return found


def penalised(log_probs: Array, blank: int, penalty: float) -> Array:
    """Log-probs with `penalty` less for the blank, so that letters the model half heard are written (fewer deletions, more
    insertions). Not normalised: pyctcdecode does that itself."""
    if not penalty:
        return log_probs
    out: Array = log_probs.copy()
    out[:, blank] -= penalty
    return out


def decode_many(spec: DecoderSpec, utterances: Sequence[Utterance], frame_ms: float) -> list[list[Word]]:
    """The unit of work of the pool: several utterances at once, so that passing them costs little."""
    return [decode_utterance(spec, utterance, frame_ms) for utterance in utterances]


def greedy_words(utterance: Utterance, labels: Sequence[str], blank: int, frame_ms: float) -> list[Word]:
    """Words without any search: the best token of each frame, repeats collapsed."""
    best = utterance.log_probs.argmax(axis=1)
    tokens = [int(t) for i, t in enumerate(best) if t != blank and (i == 0 or t != best[i - 1])]
    return _placed(text_of(labels, tokens), utterance, labels, blank, frame_ms)


def _placed(text: str, utterance: Utterance, labels: Sequence[str], blank: int, frame_ms: float) -> list[Word]:
    """The words of a text with their times; punctuation that the model spells out becomes marks."""
    words = spaced(text).split()
    return with_marks(align(words, utterance.log_probs, labels, blank, utterance.first_frame, frame_ms))
