"""The end of a text in a beam search with a language model."""

from __future__ import annotations

import random
import string
from dataclasses import replace
from pathlib import Path

import kenlm
import numpy as np
import pytest
from pyctcdecode.decoder import build_ctcdecoder
from pyctcdecode.language_model import LanguageModel

from tasks.settings import REPO
from tasks.speech.decode import Utterance, decode_utterance, penalised
from tasks.speech.language_model import open_language_model
from tasks.speech.spec import DecoderSpec, known_words

FOLDER = REPO / "data/models/lm-demo"
LABELS = ("", " ", *string.ascii_lowercase, "'")
SPEC = DecoderSpec(LABELS, 0, str(FOLDER / "lm.binary"), str(FOLDER / "unigrams.txt"), lm_weight=0.7, word_bonus=1.0)
STOCK = {"alpha": 0.7, "beta": 1.0, "unk_score_offset": -10.0}


def frames(*likely: dict[str, float]) -> np.ndarray:
    """Log-probs, shape (frames, tokens): what is not named shares the rest. `-` is the blank."""
    out = np.full((len(likely), len(LABELS)), 0.0)
    for row, named in zip(out, likely, strict=True):
        row[:] = (1 - sum(named.values())) / (len(LABELS) - len(named))
        for letter, share in named.items():
            row[0 if letter == "-" else LABELS.index(letter)] = share
    return np.log(out).astype(np.float32)


def searched(log_probs: np.ndarray, spec: DecoderSpec = SPEC) -> str:
    return " ".join(word.word for word in decode_utterance(spec, Utterance(0, log_probs), 20.0))


ENDS = {
    "no": frames({"n": 0.98}, {"o": 0.98}, {" ": 0.6, "t": 0.3}),
    "five two one": frames(*({letter: 0.98} for letter in "five two one"), {" ": 0.6, "s": 0.3}),
}


@pytest.mark.parametrize("text", ENDS)
def test_a_text_that_ends_in_a_space_keeps_its_last_word(text):
    assert searched(ENDS[text]) == text
    spaces = frames(*[{" ": 0.98}] * 3)
    assert searched(np.concatenate((ENDS[text], spaces))) == text


@pytest.mark.parametrize("text", ENDS)
def test_pyctcdecode_itself_still_loses_it(text):
    """Where this fails, a newer pyctcdecode does it right and its `score` can go."""
    words = (FOLDER / "unigrams.txt").read_text().split()
    stock = build_ctcdecoder(list(LABELS), str(FOLDER / "lm.binary"), words, **STOCK)
    assert stock.decode(ENDS[text], beam_prune_logp=SPEC.beam_prune_logp, token_min_logp=SPEC.token_min_logp) != text


def test_the_beginning_of_a_word_costs_what_it_costs_in_pyctcdecode():
    words = (FOLDER / "unigrams.txt").read_text().split()
    stock = LanguageModel(kenlm.Model(SPEC.language_model), words, **STOCK)
    own = open_language_model(SPEC.language_model, words, weight=0.7, word_bonus=1.0, unknown_score=-10.0)
    rng = random.Random(3)
    begun = [word[: rng.randint(0, len(word))] for word in rng.sample(words, 500)]
    asked = ["", *begun, *(part + rng.choice(string.ascii_lowercase) for part in begun), "z" * 30]
    costs = [own.score_partial_token(part) for part in asked]
    assert costs == pytest.approx([stock.score_partial_token(part) for part in asked])
    assert 100 < sum(cost < 0 for cost in costs) < 900
    assert own._unigram_set == stock._unigram_set


def test_capitals_are_asked_for_as_the_language_model_writes_them():
    shouted = ("", " ", *string.ascii_uppercase, "'")
    spec = replace(SPEC, labels=shouted)
    for text, log_probs in ENDS.items():
        assert searched(log_probs, spec) == text.upper()
    lower, upper = (
        open_language_model(SPEC.language_model, ["no"], weight=0.7, word_bonus=1.0, unknown_score=-10.0) for _ in "ab"
    )
    assert lower.score(lower.get_start_state(), "no")[0] == upper.score(upper.get_start_state(), " NO")[0]


def test_the_end_costs_the_same_by_either_way():
    """`no` as the last word, or `no`, a space, and the end."""
    model = open_language_model(SPEC.language_model, ["no"], weight=0.7, word_bonus=1.0, unknown_score=-10.0)
    start = model.get_start_state()
    at_once, _ = model.score(start, "no", is_last_word=True)
    word, state = model.score(start, "no")
    end, after = model.score(state, "", is_last_word=True)
    assert word + end == pytest.approx(at_once)
    assert after == state
    assert model.score(state, "") == (0.0, state)
    log10 = kenlm.Model(SPEC.language_model).score("no", bos=True, eos=True)
    assert at_once == pytest.approx(0.7 * log10 * np.log(10) + 1.0, rel=1e-4)


def test_a_search_without_a_language_model_ends_in_a_space_too():
    assert searched(ENDS["no"], replace(SPEC, language_model=None, unigrams=None)) == "no"


def arpa_of(folder: Path, *words: str) -> str:
    """A language model in ARPA format that knows two words."""
    unigrams = [(-99, "<s>"), (-1, "</s>"), (-2, "<unk>"), *((-0.5, word) for word in words)]
    lines = ["\\data\\", f"ngram 1={len(unigrams)}", "ngram 2=1", "", "\\1-grams:"]
    lines += [f"{log10}\t{word}\t0" for log10, word in unigrams]
    (folder / "words.arpa").write_text(
        "\n".join([*lines, "", "\\2-grams:", "-0.2\t" + " ".join(words), "", "\\end\\", ""])
    )
    return str(folder / "words.arpa")


def test_a_model_in_arpa_format_lists_its_words_itself(tmp_path):
    arpa = arpa_of(tmp_path, "no", "now")
    model = open_language_model(arpa, known_words(arpa, None), weight=0.7, word_bonus=1.0, unknown_score=-10.0)
    assert model.score_partial_token("no") == 0.0, "a beginning of a known word"
    assert model.score_partial_token("nx") < -5.0


def test_a_penalty_of_the_blank_writes_letters_that_were_half_heard():
    half = frames({"n": 0.98}, {"-": 0.6, "o": 0.35}, {" ": 0.98}, {"w": 0.98}, {"e": 0.98})
    spec = replace(SPEC, language_model=None, unigrams=None)
    assert searched(half, spec) == "n we"
    assert searched(half, replace(spec, blank_penalty=1.0)) == "no we"
    assert searched(half, replace(spec, blank_penalty=0.3)) == "n we", "less than what lies between them"


def test_a_penalty_leaves_the_emissions_as_they_are():
    heard = ENDS["no"].copy()
    less = penalised(heard, 0, 2.0)
    assert np.allclose(heard[:, 0] - less[:, 0], 2.0)
    assert np.array_equal(heard, ENDS["no"])


def test_a_model_that_knows_no_border_of_sentences_is_asked_for_none():
    asked = {"weight": 1.0, "word_bonus": 0.0, "unknown_score": -10.0}
    model = open_language_model(SPEC.language_model, ["no"], **asked, score_boundary=False)
    score, _ = model.score(model.get_start_state(), "no", is_last_word=True)
    log10 = kenlm.Model(SPEC.language_model).score("no", bos=False, eos=False)
    assert score == pytest.approx(log10 * np.log(10), rel=1e-4)


def test_written_punctuation_costs_nothing_where_the_language_model_has_none():
    model = open_language_model(SPEC.language_model, ["no"], weight=0.7, word_bonus=1.0, unknown_score=-10.0)
    start = model.get_start_state()
    assert model.score(start, "no,") == model.score(start, "no")
    assert model.score_partial_token("no,") == model.score_partial_token("no") == 0.0
    assert model.score(start, "{period}") == (0.0, start)
    assert model.score_partial_token("{per") == 0.0
    assert model.score(start, "{question") == model.score(start, "mark}") == (0.0, start)


def test_a_language_model_with_punctuation_is_asked_for_it(tmp_path):
    arpa = arpa_of(tmp_path, "no,", "now")
    model = open_language_model(arpa, known_words(arpa, None), weight=0.7, word_bonus=1.0, unknown_score=-10.0)
    assert model.score_partial_token("no,") == 0.0
    assert model.score_partial_token("no!") < -5.0
