"""Word times from known emissions."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tasks.records import Word
from tasks.speech.align import align, best_path, viterbi
from tasks.speech.labels import text_of
from tasks.speech.spelling import spell

LABELS = ("", " ", "a", "b", "c")


def said(text: str, p: float = 0.9) -> np.ndarray:
    """Log-probs of which frame i says character i of `text` with probability `p`; `-` is the blank, `_` a border."""
    order = {"-": 0, "_": 1, "a": 2, "b": 3, "c": 4}
    log_probs = np.full((len(text), len(LABELS)), np.log((1 - p) / (len(LABELS) - 1)), np.float32)
    for frame, char in enumerate(text):
        log_probs[frame, order[char]] = np.log(p)
    return log_probs


def times(words: list[Word]) -> list[tuple[str, int, int]]:
    return [(word.word, word.start_ms, word.end_ms) for word in words]


def test_words_last_from_their_first_letter_to_their_last():
    assert times(align(["ab", "c"], said("--aab-_-cc--"), LABELS, 0, 0, 20.0)) == [("ab", 40, 100), ("c", 160, 200)]


def test_times_count_from_the_first_frame_of_the_utterance():
    assert times(align(["a"], said("-a-"), LABELS, 0, 100, 20.0)) == [("a", 2020, 2040)]


def test_frames_that_are_no_whole_milliseconds_are_rounded_at_the_end_only():
    assert times(align(["a", "b"], said("a_b"), LABELS, 0, 1, 12.5)) == [("a", 12, 25), ("b", 38, 50)]


def test_a_repeated_letter_needs_the_blank_between():
    assert times(align(["aa", "b"], said("-aa-a_b"), LABELS, 0, 0, 20.0)) == [("aa", 20, 100), ("b", 120, 140)]


def test_a_letter_held_long_is_one_letter():
    assert times(align(["a", "b"], said("aaaa_bbb"), LABELS, 0, 0, 20.0)) == [("a", 0, 80), ("b", 100, 160)]


def test_a_double_letter_does_not_fit_into_two_frames():
    assert viterbi(said("aa"), np.array([2, 2]), 0) is None
    assert viterbi(said("a-a"), np.array([2, 2]), 0).tolist() == [1, 2, 3]


def test_a_double_letter_takes_a_blank_even_where_none_was_heard():
    assert viterbi(said("aaa"), np.array([2, 2]), 0).tolist() == [1, 2, 3]


def test_the_best_path_goes_over_blanks_only_where_they_are():
    assert viterbi(said("-ab--c"), np.array([2, 3, 4]), 0).tolist() == [0, 1, 3, 4, 4, 5]


def test_a_text_that_was_not_heard_best_is_placed_where_it_fits_best():
    # The language model turned "ab a" into "ab c": the c lies where the second a was.
    words = align(["ab", "c"], said("-ab-_-a-"), LABELS, 0, 0, 20.0)
    assert times(words)[0] == ("ab", 20, 60)
    assert words[1].start_ms >= 100
    assert words[1].confidence < 0.1


def test_words_with_more_letters_than_frames_share_the_time_and_trust_is_none():
    assert align(["abc", "cab"], said("ab-c"), LABELS, 0, 10, 20.0) == [
        Word("abc", 200, 240, 0.0),
        Word("cab", 240, 280, 0.0),
    ]


def test_no_frames_place_words_at_one_point():
    assert align(["a"], said("")[:0].reshape(0, 5), LABELS, 0, 5, 20.0) == [Word("a", 100, 100, 0.0)]


def test_no_words_have_no_times():
    assert align([], said("--"), LABELS, 0, 0, 20.0) == []


def test_unknown_characters_inside_a_word_are_passed_over():
    assert times(align(["aéb"], said("-a-b-"), LABELS, 0, 0, 20.0)) == [("aéb", 20, 80)]


def test_a_word_of_unknown_characters_only_lies_where_the_word_before_ends():
    # Its two borders were once both looked for in emissions that have one.
    words = align(["a", "7", "b"], said("a_b"), LABELS, 0, 0, 20.0)
    assert words == [Word("a", 0, 20, 0.9), Word("7", 20, 20, 0.0), Word("b", 40, 60, 0.9)]


def test_an_unknown_word_at_the_start_lies_at_the_start_of_the_utterance():
    assert times(align(["7", "a"], said("-a"), LABELS, 0, 50, 20.0)) == [("7", 1000, 1000), ("a", 1020, 1040)]


def test_only_unknown_words_share_the_time():
    assert align(["7", "8"], said("----"), LABELS, 0, 0, 20.0) == [Word("7", 0, 40, 0.0), Word("8", 40, 80, 0.0)]


def test_special_tokens_are_never_part_of_a_word():
    labels = ("", " ", "⁇2", "b", "c")
    log_probs = said("-ab-")
    log_probs[1, 0] = np.log(0.06)
    assert times(align(["⁇2b"], log_probs, labels, 0, 0, 20.0)) == [("⁇2b", 40, 60)]


def test_an_alphabet_without_a_word_border_still_has_words():
    labels = ("", "⁇1", "a", "b", "c")
    assert times(align(["a", "b"], said("-a-b"), labels, 0, 0, 20.0)) == [("a", 20, 40), ("b", 60, 80)]


@pytest.mark.parametrize(("frames", "expected"), [("-ab----", (20, 60)), ("----c--", (80, 100))])
def test_of_several_ways_to_write_a_word_the_likeliest_is_taken(frames, expected):
    labels = ("", " ", "a", "b", "ab")
    assert times(align(["ab"], said(frames), labels, 0, 0, 20.0)) == [("ab", *expected)]


def every_path(log_probs: np.ndarray, words: list[str], labels: tuple[str, ...]) -> float:
    """The best score of all sequences of frames that say these words, by trying them all."""
    best = -np.inf
    for tokens in itertools.product(range(len(labels)), repeat=len(log_probs)):
        written = [t for i, t in enumerate(tokens) if t and (i == 0 or t != tokens[i - 1])]
        if text_of(labels, written).split() == words:
            best = max(best, float(sum(log_probs[i, t] for i, t in enumerate(tokens))))
    return best


@pytest.mark.parametrize("seed", range(8))
def test_the_best_path_is_the_best_of_all(seed):
    labels, words = ("", "▁a", "b", "▁ab", "a"), ["ab", "a"]
    rng = np.random.default_rng(seed)
    log_probs = np.log(rng.dirichlet(np.ones(len(labels)) * 0.5, 5)).astype(np.float32)
    spelling = spell(words, labels)
    assert not spelling.is_chain
    path = best_path(log_probs, spelling, 0)
    score = sum(log_probs[i, spelling.tokens[piece] if piece >= 0 else 0] for i, piece in enumerate(path))
    assert score == pytest.approx(every_path(log_probs, words, labels), abs=1e-4)


def test_words_of_subwords_last_from_their_first_piece_to_their_last():
    labels = ("", "▁the", "▁rat", "es", "▁r", "a", "t")
    found = align(["the", "rates"], frames_of("-11-2-3-", len(labels)), labels, 0, 10, 80.0)
    assert times(found) == [("the", 880, 1040), ("rates", 1120, 1360)]
    assert all(word.confidence > 0.85 for word in found)


def test_what_is_said_first_may_lack_its_border():
    labels = ("", "▁the", "the", "▁end")
    assert times(align(["the", "end"], frames_of("-2-3", len(labels)), labels, 0, 0, 80.0)) == [
        ("the", 80, 160), ("end", 240, 320)
    ]  # fmt: skip


def frames_of(text: str, tokens: int, p: float = 0.9) -> np.ndarray:
    """Log-probs of which frame i says the token whose number stands at i, `-` the blank."""
    log_probs = np.full((len(text), tokens), np.log((1 - p) / (tokens - 1)), np.float32)
    for frame, char in enumerate(text):
        log_probs[frame, 0 if char == "-" else int(char)] = np.log(p)
    return log_probs


@pytest.mark.parametrize("p", [0.5, 0.9, 0.99])
def test_confidence_is_the_probability_of_the_letters(p: float):
    assert align(["ab"], said("-aab-", p), LABELS, 0, 0, 20.0)[0].confidence == pytest.approx(p, abs=1e-4)


def test_confidence_is_the_geometric_mean_of_each_letters_best_frame():
    log_probs = said("aab", 0.9)
    log_probs[0, 2], log_probs[1, 2], log_probs[2, 3] = np.log(0.3), np.log(0.8), np.log(0.2)
    assert align(["ab"], log_probs, LABELS, 0, 0, 20.0)[0].confidence == 0.4  # sqrt(0.8 x 0.2)
