"""Vectors of pictures and texts, of every class of dual encoder that is used here."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from dual_encoders import CLASSES, LONGEST, saved
from PIL import Image
from transformers import BertConfig, BertModel

from tasks.errors import ModelNotAvailable
from tasks.pictures.encoder import load_picture_encoder

TEXTS = ["a red circle", "blue square", "a green circle on a red square", "picture"]


@pytest.fixture(scope="module", params=list(CLASSES))
def kind(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def encoder(kind, tmp_path_factory):
    folder = saved(kind, tmp_path_factory.mktemp(kind) / "model")
    return load_picture_encoder(str(folder), device="cpu", precision="fp32")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> list[Path]:
    folder, draw = tmp_path_factory.mktemp("pictures"), np.random.default_rng(1)
    paths = []
    for number in range(20):
        height, width = draw.integers(20, 90, 2)
        path = folder / f"{number}.png"
        Image.fromarray(draw.integers(0, 255, (height, width, 3), np.uint8)).save(path)
        paths.append(path)
    return paths


def test_vectors_have_unit_length_and_one_size(encoder, pictures):
    seen, said = encoder.pictures(pictures), encoder.texts(TEXTS)
    assert seen.shape == (20, encoder.size)
    assert said.shape == (4, encoder.size)
    assert seen.dtype == said.dtype == np.float32
    for vectors in (seen, said):
        assert np.linalg.norm(vectors, axis=1) == pytest.approx(1.0, abs=1e-5)
    assert len(np.unique(seen.round(4), axis=0)) == 20
    assert encoder.pictures([]).shape == encoder.texts([]).shape == (0, encoder.size)


def test_neither_companions_nor_their_order_nor_another_time_change_a_vector(encoder, pictures):
    together = encoder.pictures(pictures)
    assert np.array_equal(together, encoder.pictures(pictures))
    assert np.allclose(encoder.pictures(pictures[::-1])[::-1], together, atol=1e-5)
    assert np.allclose(np.concatenate([encoder.pictures([one]) for one in pictures]), together, atol=1e-5)
    said = encoder.texts(TEXTS)
    assert np.allclose(np.concatenate([encoder.texts([text]) for text in TEXTS]), said, atol=1e-5)
    with Image.open(pictures[0]) as picture:
        assert np.allclose(encoder.of(picture), together[0], atol=1e-6)


def test_a_long_text_is_cut(encoder):
    long = "a red circle on a green square " * 30
    assert encoder.longest_text == LONGEST
    assert np.isfinite(encoder.texts([long])).all()


def test_any_picture_is_made_one_in_colours(encoder, tmp_path):
    grey = Image.fromarray(np.full((40, 40), 90, np.uint8))
    versions = {"grey.png": grey, "colours.png": grey.convert("RGB"), "see-through.png": grey.convert("RGBA")}
    for name, picture in versions.items():
        picture.save(tmp_path / name)
    first, *others = encoder.pictures([tmp_path / name for name in versions])
    for other in others:
        assert np.allclose(first, other, atol=1e-5)


def test_a_similarity_means_what_its_training_made_of_it(encoder, kind):
    if kind == "siglip":
        true = 1 / (1 + math.exp(-(encoder.scale * 0.3 + encoder.bias)))
        assert encoder.likelihood(0.3) == pytest.approx(true)
        assert encoder.likelihood(0.9) > encoder.likelihood(0.1)
    else:
        assert encoder.likelihood(0.3) is None
        assert encoder.scale == pytest.approx({"clip": math.exp(2.6592), "align": 1.0}[kind], rel=1e-3)


def test_texts_of_siglip_are_filled_up(encoder, kind, monkeypatch):
    asked = []
    real = type(encoder.model).get_text_features
    monkeypatch.setattr(
        type(encoder.model), "get_text_features", lambda self, **given: asked.append(given) or real(self, **given)
    )
    encoder.texts(["a red circle"])
    assert asked[0]["input_ids"].shape[1] == (LONGEST if kind == "siglip" else 5)


def test_a_model_without_texts_or_without_numbers_is_refused(tmp_path):
    BertModel(
        BertConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    ).save_pretrained(tmp_path / "bert")
    with pytest.raises(ModelNotAvailable, match="BertModel, and not a dual encoder"):
        load_picture_encoder(str(tmp_path / "bert"), device="cpu")
    with pytest.raises(ModelNotAvailable, match="nowhere"):
        load_picture_encoder("nowhere/at-all", device="cpu")
    folder = saved("clip", tmp_path / "clip")
    from transformers import CLIPModel

    model = CLIPModel.from_pretrained(folder)
    with torch.no_grad():
        model.visual_projection.weight.fill_(float("nan"))
    model.save_pretrained(folder)
    with pytest.raises(ModelNotAvailable, match="gives no numbers"):
        load_picture_encoder(str(folder), device="cpu")
