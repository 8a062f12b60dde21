"""What the processes of the beam search are made from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class DecoderSpec:
    """All that a decoder is made from. `labels` as in `AcousticModel`; `language_model` a KenLM file, `unknown_score` and
    `score_boundary` as pyctcdecode has them; `blank_penalty` is taken from the log-prob of the blank in the search."""

    labels: tuple[str, ...]
    blank: int
    language_model: str | None = None
    unigrams: str | None = None
    lm_weight: float = 0.5
    word_bonus: float = 1.5
    unknown_score: float = -10.0
    score_boundary: bool = True
    blank_penalty: float = 0.0
    beam_width: int = 100
    beam_prune_logp: float = -10.0
    token_min_logp: float = -5.0
    hot_words: tuple[str, ...] = ()
    hot_word_weight: float = 8.0


def read_words(unigrams: str) -> list[str]:
    """The words that a language model knows, of the file that lies beside it."""
    return [word for word in Path(unigrams).read_text(encoding="utf-8").split("\n") if word]


def known_words(model: str, unigrams: str | None) -> list[str] | None:
    """The words that a KenLM file knows: of the list beside it, else its own where it is in ARPA format; None where nothing says."""
    if unigrams is not None:
        return read_words(unigrams)
    if not model.endswith(".arpa"):
        return None
    from pyctcdecode.language_model import load_unigram_set_from_arpa

    return sorted(load_unigram_set_from_arpa(model))
