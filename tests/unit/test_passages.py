"""Where speech is cut into passages, and what they carry along."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import spoken

from tasks.records import Word
from tasks.text.passages import CARRIED_WORDS, MAX_MS, MIN_MS, OWN_WORDS, Passage, cut_passages


def ends(words: list[Word]) -> list[int]:
    return [passage.last for passage in cut_passages(words)]


def test_nothing_said_is_no_passage_and_one_word_is_one():
    assert list(cut_passages([])) == []
    assert list(cut_passages(spoken("hello"))) == [Passage(0, 0, 0)]


def test_a_passage_ends_at_the_longest_pause_of_its_time():
    words = spoken(" ".join(["word"] * 40 + ["|"] + ["word"] * 40))  # 0.4 s a word: the pause is after 16 s
    assert ends(words) == [39, 79]


def test_a_short_pause_does_not_end_one_early():
    words = spoken(" ".join(["word"] * 10 + ["|"] + ["word"] * 60))
    assert ends(words)[0] >= 30


@pytest.mark.parametrize(("silence", "carried"), [(MAX_MS - 1, 0), (MAX_MS, 3)])
def test_a_silence_of_half_a_minute_ends_one_and_nothing_is_carried_over_it(silence, carried):
    first = spoken("one two three")
    second = spoken("four five", start_ms=first[-1].end_ms + silence)
    assert list(cut_passages([*first, *second])) == [Passage(0, 0, 2), Passage(carried, 3, 4)]


def test_thirty_one_words_are_carried_through_passages_however_short():
    assert CARRIED_WORDS == 31
    words = spoken(" ".join(["word"] * 100))
    passages = list(cut_passages(words))
    assert [p.first - p.carried for p in passages] == [0, *[31] * (len(passages) - 1)]
    sparse = [Word("w", 20_000 * n, 20_000 * n + 300, 0.9) for n in range(40)]
    assert [p.first - p.carried for p in cut_passages(sparse)] == [min(31, p.first) for p in cut_passages(sparse)]


def test_any_speech_is_cut_within_the_limits():
    rng = np.random.default_rng(0)
    for _ in range(50):
        at, words = 0, []
        for _ in range(int(rng.integers(1, 400))):
            length = int(rng.integers(50, 900))
            words.append(Word("w", at, at + length, 0.9))
            at += length + int(rng.choice([0, 50, 300, 3000, 40_000], p=[0.4, 0.4, 0.15, 0.04, 0.01]))
        passages = list(cut_passages(words))
        assert [n for p in passages for n in range(p.first, p.last + 1)] == list(range(len(words)))
        for passage in passages:
            own = words[passage.first : passage.last + 1]
            length = own[-1].end_ms - own[0].start_ms
            assert len(own) <= OWN_WORDS
            assert length <= MAX_MS
            following = words[passage.last + 1] if passage.last + 1 < len(words) else None
            if following and following.end_ms - own[0].start_ms <= MAX_MS:
                assert length >= MIN_MS or len(own) >= OWN_WORDS // 2
