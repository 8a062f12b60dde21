"""Where speech is cut into passages."""

from __future__ import annotations

from collections import Counter

import numpy as np
from conftest import spoken

from tasks.passages import MAX_MS, MIN_MS, OWN_WORDS, cut_passages
from tasks.records import Word


def test_nothing_said_is_no_passage_and_one_word_is_one():
    assert cut_passages([]) == []
    assert cut_passages(spoken("hello")) == [0]


def test_a_passage_ends_at_the_longest_pause_of_its_time():
    words = spoken(" ".join(["word"] * 40 + ["|"] + ["word"] * 40))  # 0.4 s a word: the pause is after 16 s
    assert cut_passages(words) == [0] * 40 + [1] * 40


def test_a_short_pause_does_not_end_one_early():
    words = spoken(" ".join(["word"] * 10 + ["|"] + ["word"] * 60))
    assert cut_passages(words)[:20] == [0] * 20


def test_a_pause_of_half_a_minute_ends_one():
    first, second = spoken("one two three"), spoken("four five", start_ms=100_000)
    assert cut_passages([*first, *second]) == [0, 0, 0, 1, 1]


def test_any_speech_is_cut_within_the_limits():
    rng = np.random.default_rng(0)
    for _ in range(50):
        at, words = 0, []
        for _ in range(int(rng.integers(1, 400))):
            length = int(rng.integers(50, 900))
            words.append(Word("w", at, at + length, 0.9))
            at += length + int(rng.choice([0, 50, 300, 3000, 40_000], p=[0.4, 0.4, 0.15, 0.04, 0.01]))
        numbers = cut_passages(words)
        assert numbers == sorted(numbers)
        assert set(numbers) == set(range(numbers[-1] + 1))
        assert max(Counter(numbers).values()) <= OWN_WORDS
        for number in range(numbers[-1] + 1):
            own = [w for w, n in zip(words, numbers, strict=True) if n == number]
            length = own[-1].end_ms - own[0].start_ms
            assert length <= MAX_MS
            following = words[numbers.index(number) + len(own)] if number < numbers[-1] else None
            if following and following.end_ms - own[0].start_ms <= MAX_MS:
                assert length >= MIN_MS or len(own) >= OWN_WORDS // 2
