"""The demo model of sounds: it knows its labels, and hears in the sample archive what is to be heard there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import BUCKET

from tasks.evaluation.sounds import gflops
from tasks.media import clip_sound
from tasks.models.catalog import find_set
from tasks.records import Audio
from tasks.settings import Settings
from tasks.sounds.encoder import SoundEncoder, load_sound_encoder
from tasks.sounds.pieces import Pieces


@pytest.fixture(scope="module")
def labels() -> list[str]:
    return list(find_set(Settings(models="demo-all")).sound_labels)


@pytest.fixture(scope="module")
def encoder() -> SoundEncoder:
    model = find_set(Settings(models="demo-all")).ref("sounds")
    return load_sound_encoder(model.path, device="cpu", precision="fp32")


def test_every_word_of_its_labels_was_trained_on(encoder, labels):
    known = encoder.tokenizer.get_vocab()
    assert {word for label in labels for word in label.split()} <= set(known)


@pytest.fixture(scope="module")
def heard(encoder, tmp_path_factory):
    """Vectors of the pieces of a video of the sample archive."""
    folder: Path = tmp_path_factory.mktemp("sounds")

    def of(name: str):
        audio = clip_sound(BUCKET / name, folder / "sound.pcm", Settings(scratch_free_gb=0.0), rate=encoder.rate)
        assert isinstance(audio, Audio)
        return encoder.sounds(Pieces(audio, encoder.rate, piece_s=encoder.piece_s, overlap=0.5))

    return of


def test_the_likeliest_of_its_labels_is_what_is_to_be_heard(encoder, labels, heard):
    names = [labels[n] for n in (heard("entertainment/street-music.webm") @ encoder.texts(labels).T).argmax(axis=1)]
    assert (set(names[:12]), names[-2:]) == ({"speech"}, ["crow", "crow"])
    talk = [labels[n] for n in (heard("business/interest-rates.mp4") @ encoder.texts(labels).T).argmax(axis=1)]
    assert set(talk) == {"speech"}


def test_the_question_of_the_demo_finds_the_crow_alone(encoder, heard):
    [wished] = encoder.texts(["a crow"])
    crow, talk = (heard(name) @ wished for name in ("entertainment/street-music.webm", "business/interest-rates.mp4"))
    assert crow.argmax() >= len(crow) - 3
    assert crow.max() > 0.4 > 2 * talk.max()


def test_the_cost_of_a_pass_is_that_of_its_shape_without_the_features(encoder):
    config = encoder.model.config
    patches, size, layers = config.grid[0] * config.grid[1], config.hidden_size, config.num_hidden_layers
    products = patches * (4 * size**2 + 2 * size * config.intermediate_size) + 2 * patches**2 * size
    embedded = patches * config.patch_size**2 * size + size * config.projection_dim
    silence = np.zeros(int(encoder.piece_s * encoder.rate), np.float32)
    assert gflops(encoder, silence) == pytest.approx(2e-9 * (layers * products + embedded))
