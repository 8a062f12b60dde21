"""The convolutions of wav2vec 2.0 and its kin as matrix products, time first, for inference on CPUs.

As `transformers` computes them, each layer's output is copied into another order of its numbers before what follows can read it,
and that takes as long as the products themselves where bf16 is multiplied by AMX. With the channels of a frame side by side, a
convolution of kernel k and stride s is ceil(k / s) products over rows of the input as they lie, added up; nothing is copied.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn


class TimeMajorLayer(nn.Module):
    """One layer of a feature encoder: convolution, norm if there is one, activation; (clips, time, channels) throughout."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        conv = layer.conv
        self.width, channels, self.kernel = conv.weight.shape
        self.stride: int = conv.stride[0]
        taps = conv.weight.detach().permute(2, 1, 0).reshape(self.kernel * channels, self.width)
        self.taps = nn.Parameter(taps.contiguous(), requires_grad=False)
        self.bias = conv.bias
        self.norm = getattr(layer, "layer_norm", None)
        self.activation = layer.activation

    def forward(self, state: torch.Tensor) -> torch.Tensor:
        clips, time, channels = state.shape
        frames = (time - self.kernel) // self.stride + 1
        out = state.new_empty(clips, frames, self.width)
        for clip, made in zip(state, out, strict=True):
            if channels == 1:  # products of a few columns would not pay
                torch.mm(clip[:, 0].unfold(0, self.kernel, self.stride), self.taps, out=made)
                continue
            for first in range(0, self.kernel, self.stride):
                columns = min(self.stride, self.kernel - first) * channels
                size, strides = (frames, columns), (self.stride * channels, 1)
                rows = clip.as_strided(size, strides, clip.storage_offset() + first * channels)
                taps = self.taps[first * channels : first * channels + columns]
                made.addmm_(rows, taps, beta=1 if first else 0)
        if self.bias is not None:
            out += self.bias
        if isinstance(self.norm, nn.GroupNorm):  # knows the order of our numbers as that of a picture
            out = self.norm(out.transpose(1, 2).unsqueeze(2)).squeeze(2).transpose(1, 2)
        elif self.norm is not None:
            out = self.norm(out)
        activated: torch.Tensor = self.activation(out)
        return activated


class TimeMajorEncoder(nn.Module):
    """In place of a feature encoder: (clips, samples) to (clips, channels, frames)."""

    def __init__(self, encoder: Any) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TimeMajorLayer(layer) for layer in encoder.conv_layers)

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        state = samples.contiguous().unsqueeze(-1)
        for layer in self.layers:
            state = layer(state)
        return state.transpose(1, 2)


def make_time_major(model: Any) -> None:
    """Replace a model's feature encoder, if its layers are ones that are known here."""
    base = getattr(model, model.base_model_prefix, None)
    encoder = getattr(base, "feature_extractor", None)
    if base is not None and encoder is not None and all(map(_known, getattr(encoder, "conv_layers", [None]))):
        base.feature_extractor = TimeMajorEncoder(encoder)


def _known(layer: Any) -> bool:
    parts = dict(layer.named_children()) if isinstance(layer, nn.Module) else {}
    conv, norm = parts.get("conv"), parts.get("layer_norm")
    return (
        parts.keys() <= {"conv", "layer_norm", "activation"}
        and isinstance(conv, nn.Conv1d)
        and (conv.padding, conv.dilation, conv.groups) == ((0,), (1,), 1)
        and (norm is None or isinstance(norm, nn.LayerNorm | nn.GroupNorm))
        and hasattr(layer, "activation")
    )
