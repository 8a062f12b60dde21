"""Attention a head at a time gives what torch's own gives."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from tasks.speech import attention
from tasks.speech.attention import NAME, headwise
from tasks.speech.speed_up import speed_up


def heads(batch: int, dtype: torch.dtype) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(7)
    return [torch.randn(batch, 3, 50, 16, generator=generator).to(dtype) for _ in range(3)]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.02)])
@torch.inference_mode()
def test_it_is_scaled_dot_product_attention(dtype, tolerance):
    query, key, value = heads(2, dtype)
    out, weights = headwise(torch.nn.Identity(), query, key, value, None)
    true = scaled_dot_product_attention(query.float(), key.float(), value.float()).transpose(1, 2)
    assert weights is None
    assert (out.float() - true).abs().max() < tolerance


@torch.inference_mode()
def test_the_scale_can_be_given_and_a_mask_is_heeded():
    query, key, value = heads(1, torch.float32)
    mask = torch.ones(1, 1, 50, 50, dtype=torch.bool).tril()
    out, _ = headwise(torch.nn.Identity(), query, key, value, mask, scaling=0.5)
    true = scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=0.5).transpose(1, 2)
    assert (out - true).abs().max() < 1e-5
    out, _ = headwise(torch.nn.Identity(), query, key, value, None, scaling=0.5)
    assert (out - scaled_dot_product_attention(query, key, value, scale=0.5).transpose(1, 2)).abs().max() < 1e-5


@torch.inference_mode()
def test_companions_change_no_bit():
    query, key, value = heads(4, torch.bfloat16)
    together, _ = headwise(torch.nn.Identity(), query, key, value, None)
    for i in range(4):
        alone, _ = headwise(torch.nn.Identity(), query[i : i + 1], key[i : i + 1], value[i : i + 1], None)
        assert torch.equal(alone[0], together[i])


@pytest.mark.parametrize(
    ("dtype", "flags", "chosen"),
    [
        (torch.bfloat16, {"avx512_bf16"}, NAME),
        (torch.bfloat16, {"avx512_bf16", "amx_bf16"}, "sdpa"),
        (torch.float32, {"avx512_bf16"}, "sdpa"),
    ],
)
def test_it_is_used_where_it_is_faster(monkeypatch, dtype, flags, chosen):
    from transformers import Wav2Vec2Config, Wav2Vec2ForCTC

    monkeypatch.setattr(attention, "cpu_flags", lambda: frozenset(flags))
    config = Wav2Vec2Config(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, conv_dim=(16, 16),
        conv_kernel=(10, 8), conv_stride=(5, 4), num_conv_pos_embeddings=4, num_conv_pos_embedding_groups=2, vocab_size=8,
    )  # fmt: skip
    model = Wav2Vec2ForCTC(config).eval().to(dtype)
    speed_up(model, torch.device("cpu"), dtype)
    assert model.config._attn_implementation == chosen
    with torch.inference_mode():
        assert model(torch.zeros(1, 4000, dtype=dtype)).logits.isfinite().all()
