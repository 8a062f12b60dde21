"""Attention for CPUs that multiply bf16 without AMX, a head at a time.

There torch's fused kernel takes longer than two matrix products and a softmax whose scores stay in the cache. With fp32
it is the faster one, and with AMX it is expected to be: it is left in place for both.
"""

from __future__ import annotations

from typing import Any

import torch

from tasks.machine.hardware import cpu_flags

NAME = "headwise"


def headwise(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Scaled dot-product attention, (batch, heads, frames, size) to (batch, frames, heads, size).

    The signature is that of `transformers.AttentionInterface`. With a mask, torch's kernel is called.
    """
    if attention_mask is not None or key.shape != query.shape:
        from transformers.integrations.sdpa_attention import sdpa_attention_forward

        out, _ = sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **options)
        return out, None
    batch, heads, frames, size = query.shape
    query = query * (size**-0.5 if scaling is None else scaling)
    out = query.new_empty(batch, frames, heads, size)
    scores = query.new_empty(frames, frames)
    for row in range(batch):
        for head in range(heads):
            torch.mm(query[row, head], key[row, head].t(), out=scores)
            torch.softmax(scores, -1, out=scores)
            torch.mm(scores, value[row, head], out=out[row, :, head])
    return out, None


def choose_attention(model: Any, dtype: torch.dtype) -> None:
    """Let `model` use `headwise` where that is faster and its attention can be chosen at all."""
    if dtype is not torch.bfloat16 or "amx_bf16" in cpu_flags():
        return
    if model.config._attn_implementation != "sdpa":
        return
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, headwise)
    model.set_attn_implementation(NAME)
