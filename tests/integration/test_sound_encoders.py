"""Vectors of sounds and texts, of every class of dual encoder of sounds that is used here."""

from __future__ import annotations

import numpy as np
import pytest
from dual_encoders import saved as saved_pictures
from sound_encoders import CLASSES, saved

from tasks.errors import ModelNotAvailable
from tasks.sounds.encoder import load_sound_encoder

RATE = 48_000


@pytest.fixture(scope="module", params=list(CLASSES))
def encoder(request, tmp_path_factory):
    folder = saved(request.param, tmp_path_factory.mktemp("sounds") / "model")
    return load_sound_encoder(str(folder), device="cpu", precision="fp32")


@pytest.fixture(scope="module")
def sounds() -> list[np.ndarray]:
    """Tones and noises of half a second to ten."""
    draw = np.random.default_rng(2)
    found = []
    for number, seconds in enumerate((10.0, 0.5, 3.3, 9.99, 6.0)):
        at = np.arange(round(seconds * RATE), dtype=np.float32) / RATE
        tone = 0.3 * np.sin(2 * np.pi * 200 * 2**number * at)
        found.append((tone + 0.02 * draw.standard_normal(len(at))).astype(np.float32))
    return found


def test_vectors_have_unit_length_and_one_size(encoder, sounds):
    heard, said = encoder.sounds(sounds), encoder.texts(["a dog barking", "rain"])
    assert heard.shape == (5, encoder.size)
    assert said.shape == (2, encoder.size)
    for vectors in (heard, said):
        assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-5)
    assert len(np.unique(heard.round(4), axis=0)) == 5
    assert encoder.sounds([]).shape == (0, encoder.size)
    assert (encoder.rate, encoder.piece_s) == (RATE, 10.0)
    assert encoder.scale == pytest.approx(1 / 0.07, rel=1e-3)


def test_neither_companions_nor_their_order_nor_another_time_change_a_vector(encoder, sounds):
    together = encoder.sounds(sounds)
    assert np.array_equal(together, encoder.sounds(sounds))
    assert np.allclose(encoder.sounds(sounds[::-1])[::-1], together, atol=1e-5)
    assert np.allclose(np.concatenate([encoder.sounds([one]) for one in sounds]), together, atol=1e-5)


def test_what_hears_nothing_is_refused(tmp_path):
    with pytest.raises(ModelNotAvailable, match="CLIPModel, and not a dual encoder of sounds"):
        load_sound_encoder(str(saved_pictures("clip", tmp_path / "clip")), device="cpu")
