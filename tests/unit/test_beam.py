"""The search of letters finds what pyctcdecode's own finds, and no more of it is made than needed."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from pyctcdecode.decoder import BeamSearchDecoderCTC

from tasks.settings import REPO
from tasks.speech.beam import Decoder, are_letters
from tasks.speech.decode import build_decoder
from tasks.speech.hot_words import Unspaced
from tasks.speech.labels import ALONE, BORDER
from tasks.speech.spec import DecoderSpec

LABELS = ("", "⁇1", " ", *"abcdefghijklmnopqrstuvwxyz'")
LM = REPO / "data" / "models" / "lm-demo"
TEXTS = ("the bank has left its rates", "a song of the sea", "tell  her to wait", "books and letters ")


def heard(text: str, seed: int, *, sure: float = 3.0) -> np.ndarray:
    """Log-probs of a text said unclearly: most frames have several likely tokens, some letters are held, blanks lie between."""
    rng = np.random.default_rng(seed)
    frames: list[int] = []
    for letter in text:
        frames += [LABELS.index(letter)] * int(rng.integers(1, 3)) + [0] * int(rng.integers(0, 3))
    logits = rng.standard_normal((len(frames), len(LABELS))) * 1.5
    logits[np.arange(len(frames)), frames] += sure
    logits[:, 1] -= 10
    found: np.ndarray = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    return found


def spec(**fields: Any) -> DecoderSpec:
    given = {"labels": LABELS, "blank": 0, "lm_weight": 0.8, "word_bonus": 1.0, "unknown_score": -10.0}
    return DecoderSpec(**{**given, **fields})


@pytest.fixture
def theirs(monkeypatch) -> Callable[..., Any]:
    """Asks a decoder, whose search is pyctcdecode's own."""

    def own(self, *given, hotword_scorer, **options):
        return BeamSearchDecoderCTC._decode_logits(self, *given, hotword_scorer=Unspaced(hotword_scorer), **options)

    def ask(decoder: Any, log_probs: np.ndarray, **options: Any) -> Any:
        with monkeypatch.context() as patched:
            patched.setattr(Decoder, "_decode_logits", own)
            return decoder.decode_beams(log_probs, **options)

    return ask


@pytest.mark.parametrize("hot", [None, ["zebra"], ["wait", "sea"]], ids=["none", "never said", "said"])
@pytest.mark.parametrize("model", [None, str(LM / "lm.binary")], ids=["sound", "words"])
def test_it_finds_the_same_texts_with_the_same_scores(model, hot, theirs):
    decoder = build_decoder(spec(language_model=model, unigrams=str(LM / "unigrams.txt") if model else None))
    options = {
        "beam_width": 300,
        "beam_prune_logp": -10.0,
        "token_min_logp": -4.0,
        "hotwords": hot,
        "hotword_weight": 5.0,
    }
    for seed, text in enumerate(TEXTS):
        log_probs = heard(text, seed)[:16]
        ours, expected = decoder.decode_beams(log_probs, **options), theirs(decoder, log_probs, **options)
        assert ours[0][0] == expected[0][0]
        assert ours[0][-1] == pytest.approx(expected[0][-1], abs=1e-3)
        scores = {text: total for text, *_, total in expected}
        both = [one for one in ours[:20] if one[0] in scores]
        assert len(both) >= 0.9 * len(ours[:20])
        assert [total for *_, total in both] == pytest.approx([scores[text] for text, *_ in both], abs=1e-2)


@pytest.mark.parametrize("width", [5, 100])
def test_it_finds_the_same_text_with_the_usual_pruning(width, theirs):
    decoder = build_decoder(spec(language_model=str(LM / "lm.binary"), unigrams=str(LM / "unigrams.txt")))
    options = {"beam_width": width, "beam_prune_logp": -10.0, "token_min_logp": -5.0}
    same = 0
    for seed in range(12):
        log_probs = heard(TEXTS[seed % len(TEXTS)], seed, sure=2.5 + seed / 6)
        same += decoder.decode_beams(log_probs, **options)[0][0] == theirs(decoder, log_probs, **options)[0][0]
    assert same >= 11, "what lies beyond the pruning may be counted by the one and not by the other"


def test_spaces_say_where_words_end_however_many_there_are(theirs):
    decoder = build_decoder(spec())
    for text in (" a", "a ", "  a  b  ", " ", "aa b"):
        log_probs = heard(text, 1, sure=9.0)
        assert decoder.decode_beams(log_probs)[0][0] == theirs(decoder, log_probs)[0][0] == " ".join(text.split())[:4]


def test_only_labels_of_one_letter_are_searched_by_it():
    assert are_letters(LABELS)
    assert not are_letters(LABELS[1:]), "without a blank"
    assert not are_letters((*LABELS, "th"))
    assert not are_letters(("", f"{BORDER}the", "r", "e"))
    assert not are_letters(("", ALONE, "a"))
    assert not are_letters((*LABELS, "⁇")), "which would spell another label"


def test_the_collector_is_as_it_was_also_after_an_error(monkeypatch):
    decoder = build_decoder(spec())
    for before in (gc.enable, gc.disable):
        before()
        try:
            state = gc.isenabled()
            assert decoder.decode_beams(heard("a", 0, sure=12.0))[0][0] == "a"
            assert gc.isenabled() == state
            with monkeypatch.context() as broken:
                broken.setattr("tasks.speech.beam._likely", None)
                with pytest.raises(TypeError):
                    decoder.decode_beams(heard("a", 0))
            assert gc.isenabled() == state
        finally:
            gc.enable()


def test_a_text_of_many_minutes_leaves_nothing_behind():
    decoder = build_decoder(spec())
    log_probs = np.concatenate([heard("tell her to wait ", seed, sure=12.0) for seed in range(40)])
    gc.collect()
    before = len(gc.get_objects())
    text = decoder.decode_beams(log_probs, beam_width=20)[0][0]
    assert text.count("her to wait") > 30
    assert len(gc.get_objects()) < before + 500, "beginnings are let go without the collector"
