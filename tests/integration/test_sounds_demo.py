"""The demo model of sounds: it knows its labels, and hears in the sample archive what is to be heard there."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import BUCKET

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
