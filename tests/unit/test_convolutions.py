"""Convolutions as matrix products give what those of `transformers` give."""

from __future__ import annotations

import pytest
import torch
from transformers import (
    AutoModelForCTC,
    Data2VecAudioConfig,
    HubertConfig,
    SEWConfig,
    SEWDConfig,
    UniSpeechConfig,
    UniSpeechSatConfig,
    Wav2Vec2Config,
    Wav2Vec2ConformerConfig,
    WavLMConfig,
)

from tasks.speech.convolutions import TimeMajorEncoder, make_time_major

CLASSES = [
    Wav2Vec2Config, HubertConfig, WavLMConfig, UniSpeechConfig, UniSpeechSatConfig, SEWConfig, SEWDConfig,
    Data2VecAudioConfig, Wav2Vec2ConformerConfig,
]  # fmt: skip
TINY = {
    "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32, "vocab_size": 8,
    "num_conv_pos_embeddings": 4, "num_conv_pos_embedding_groups": 2, "squeeze_factor": 1,
}  # fmt: skip


def small(config_class, norm="group", bias=False, kernels=(10, 3, 2), strides=(5, 2, 2)):
    torch.manual_seed(3)
    config = config_class(
        **TINY, conv_dim=(16,) * len(kernels), conv_kernel=kernels, conv_stride=strides, conv_bias=bias,
        feat_extract_norm=norm,
    )  # fmt: skip
    return AutoModelForCTC.from_config(config).eval()


def largest_difference(model, samples):
    with torch.inference_mode():
        before = model(samples).logits
        make_time_major(model)
        assert any(isinstance(module, TimeMajorEncoder) for module in model.modules())
        after = model(samples).logits
    assert before.shape == after.shape
    return float((before - after).abs().max())


@pytest.mark.parametrize(
    ("config_class", "norm"),
    [(one, norm) for one in CLASSES for norm in ("group", "layer") if (one, norm) != (Data2VecAudioConfig, "group")],
    ids=lambda given: getattr(given, "model_type", given),
)
def test_of_every_class_with_either_norm(config_class, norm):
    model = small(config_class, norm, bias=norm == "layer")
    assert largest_difference(model, torch.randn(3, 4321)) < 1e-5


@pytest.mark.parametrize(
    ("kernels", "strides"),
    [((10, 8, 4), (5, 4, 2)), ((7, 3), (7, 1)), ((4, 5, 5), (2, 3, 4)), ((3, 2), (5, 6))],
    ids=["even", "one at a time", "a rest", "gaps"],
)
@pytest.mark.parametrize("samples", [400, 401, 402, 403, 404, 405, 1999])
def test_of_any_kernel_stride_and_length(kernels, strides, samples):
    assert largest_difference(small(Wav2Vec2Config, kernels=kernels, strides=strides), torch.randn(1, samples)) < 1e-5


def test_in_bf16_it_is_as_near_to_fp32_as_before():
    samples = torch.randn(1, 8000)
    with torch.inference_mode():
        true = small(Wav2Vec2Config)(samples).logits
        plain = small(Wav2Vec2Config).bfloat16()
        products = small(Wav2Vec2Config).bfloat16()
        make_time_major(products)
        errors = [float((model(samples.bfloat16()).logits - true).abs().mean()) for model in (plain, products)]
    assert 0 < errors[1] < 1.5 * errors[0]


def test_companions_change_no_bit():
    model, samples = small(Wav2Vec2Config), torch.randn(3, 3000)
    make_time_major(model)
    with torch.inference_mode():
        together = model.wav2vec2.feature_extractor(samples)
        for row, one in zip(together, samples, strict=True):
            assert torch.equal(model.wav2vec2.feature_extractor(one[None])[0], row)


def test_layers_that_are_not_known_stay_as_they_are():
    model = small(Wav2Vec2Config)
    model.wav2vec2.feature_extractor.conv_layers[1].conv.padding = (1,)
    before = model.wav2vec2.feature_extractor
    make_time_major(model)
    assert model.wav2vec2.feature_extractor is before
