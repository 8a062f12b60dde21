"""Word errors: how texts are compared, how errors are summed, how sure a rate is."""

from __future__ import annotations

import jiwer
import numpy as np
import pytest

from tasks.evaluation.scores import (
    NORMALIZER,
    Errors,
    character_errors,
    interval,
    normalised,
    rate_interval,
    summed,
    word_errors,
)


@pytest.mark.parametrize(
    ("written", "compared"),
    [
        ("Hello, WORLD!", "hello world"),
        ("Don’t ‘quote’ it", "don't quote it"),
        ("In 1984 he had 42 cats.", "in nineteen eighty four he had forty two cats"),
        ("Café", "café"),
        ("سلام، دنیا", "سلام دنیا"),
        ("rock 'n' roll", "rock n roll"),
        ("—…!", ""),
    ],
)
def test_texts_are_compared_without_case_and_punctuation_but_with_accents(written, compared):
    assert normalised(written) == compared


def test_the_normaliser_has_a_version():
    assert NORMALIZER == "nightscribe-1", "what is compared has changed: give it a new name"


def test_errors_are_told_apart():
    assert word_errors("a b c d", "a x c d e") == Errors(n=4, substitutions=1, deletions=0, insertions=1)
    assert word_errors("a b c", "") == Errors(n=3, deletions=3)
    assert character_errors("ab c", "abc") == Errors(n=4, deletions=1)


def test_nothing_said_and_nothing_heard_is_no_error_and_something_heard_is():
    assert word_errors("", "").rate == 0
    assert word_errors("", "a b").rate == 1


def test_a_set_is_the_sum_of_its_clips_as_jiwer_has_it():
    true, said = ["a b c", "d", "e f"], ["a b", "x", "e f g"]
    errors = summed([word_errors(t, s) for t, s in zip(true, said, strict=True)])
    assert errors == Errors(6, substitutions=1, deletions=1, insertions=1)
    assert errors.rate == pytest.approx(jiwer.wer(true, said)) == 0.5


def test_an_interval_holds_the_rate_and_shrinks_with_the_set():
    rng = np.random.default_rng(1)
    errors = [Errors(10, substitutions=int(n)) for n in rng.binomial(10, 0.3, 1000)]
    low, high = rate_interval(errors)
    few_low, few_high = rate_interval(errors[:30])
    assert low < summed(errors).rate < high
    assert high - low < (few_high - few_low) / 3
    # Of a sum of binomials the width is known: 2 * 1.96 * sqrt(p (1 - p) / n).
    assert high - low == pytest.approx(2 * 1.96 * np.sqrt(0.3 * 0.7 / 10_000), rel=0.15)


def test_an_interval_is_the_same_each_time_and_empty_for_nothing():
    errors = [Errors(5, deletions=n % 3) for n in range(40)]
    assert rate_interval(errors) == rate_interval(errors)
    assert interval(0, lambda drawn: drawn.mean(1)) == (0.0, 0.0)
