"""Recall among the first of a ranking."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.evaluation.retrieval import retrieval


def test_what_belongs_together_and_is_nearest_is_always_found():
    found = retrieval(np.eye(12), np.eye(12) * 3, [(n,) for n in range(12)], kind="sound")
    assert found.shares["text_to_sound"] == found.shares["sound_to_text"] == {1: 1.0, 5: 1.0, 10: 1.0}
    assert found.bounds["text_to_sound_1"] == (1.0, 1.0)
    assert found.chance["sound_to_text_5"] == pytest.approx(5 / 12)
    assert found.row()["text_to_sound_10"] == 1.0


def test_a_text_finds_one_of_its_sounds_and_a_sound_its_only_text():
    sounds = np.array([[1.0, 0.0], [0.6, 0.8], [0.0, 1.0]])
    texts = np.array([[1.0, 0.0], [0.0, 1.0]])
    found = retrieval(sounds, texts, [(0,), (0,), (1,)], kind="sound")
    assert found.shares["text_to_sound"][1] == 1.0
    assert found.shares["sound_to_text"][1] == pytest.approx(2 / 3), "the second sound is nearer to the other text"
    assert found.chance["text_to_sound_1"] == pytest.approx((2 / 3 + 1 / 3) / 2)


def test_one_with_several_texts_finds_any_of_them_and_is_found_by_all():
    texts = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]])
    found = retrieval(np.eye(2), texts, [(0, 1), (2,)], kind="picture")
    assert found.shares["text_to_picture"][1] == found.shares["picture_to_text"][1] == 1.0
    assert found.chance["picture_to_text_1"] == pytest.approx((2 / 3 + 1 / 3) / 2)


def test_where_all_are_alike_nothing_is_found():
    found = retrieval(np.ones((20, 4)), np.ones((20, 4)), [(n,) for n in range(20)], kind="sound")
    assert found.shares["text_to_sound"] == {1: 0.0, 5: 0.0, 10: 0.0}


def test_by_lot_it_is_as_its_chance_says():
    draw = np.random.default_rng(1)
    found = [
        retrieval(draw.standard_normal((40, 8)), draw.standard_normal((40, 8)), [(n,) for n in range(40)], kind="sound")
        for _ in range(60)
    ]
    assert np.mean([one.shares["text_to_sound"][10] for one in found]) == pytest.approx(0.25, abs=0.03)
    low, high = found[0].bounds["text_to_sound_10"]
    assert low <= found[0].shares["text_to_sound"][10] <= high
