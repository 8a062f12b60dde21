"""Begin a small model with what another of the same kind has learnt, also where that one has more frames a second.

What two models have in common is taken over: blocks, and with the same convolutions and letters all the rest. A model of
half as many frames gets the convolutions too: the one that it has more begins as the mean of two neighbours, and the blocks'
own convolutions, which count in frames, are made as short in seconds as they were.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from tasks.errors import Misconfigured

CONVOLUTIONS = "feature_extractor.conv_layers."
PROJECTION = "feature_projection."
DEPTHWISE = "depthwise_conv.weight"
HEAD = "lm_head."


@dataclass(frozen=True)
class Taken:
    """What a model got: whether it hears as the other does (`frontend`), and its convolutions that are `new`."""

    frontend: bool
    new: tuple[nn.Module, ...]


def take_over(
    model: Any, letters: Mapping[str, int], other: Any, others_letters: Mapping[str, int], name: str
) -> Taken:
    """Copy into `model` what fits of `other`, called `name`; `letters` are their vocabularies.

    Raises:
        Misconfigured: no block fits, or the other has fewer frames a second.
    """
    own, given = model.config, other.config
    if type(model) is not type(other):
        raise Misconfigured(
            f"{name} is no model that --base scratch makes: {given.model_type}.", next="To train it, say --base."
        )
    for size in ("hidden_size", "intermediate_size", "num_attention_heads", "conv_depthwise_kernel_size"):
        if getattr(own, size) != getattr(given, size):
            raise Misconfigured(
                f"No block of {name} fits: its {size} is {getattr(given, size)}, not {getattr(own, size)}.",
                next=f"Say --hidden {given.hidden_size}, or another --init.",
            )
    frontend = _layers(own)[: len(_layers(given))] == _layers(given)
    ratio, rest = divmod(_stride(own), _stride(given))
    if rest or ratio < 1:
        raise Misconfigured(
            f"{name} has frames of {_stride(given) / 16:g} ms: they can be made longer, not shorter.",
            next="Say a larger --frame-ms, or another --init.",
        )
    weights = {}
    for key, value in other.state_dict().items():
        bare = key.removeprefix(f"{model.base_model_prefix}.")
        if (bare.startswith((CONVOLUTIONS, PROJECTION)) and not frontend) or (
            bare.startswith(HEAD) and letters != others_letters
        ):
            continue
        weights[key] = shorter(value, ratio) if key.endswith(DEPTHWISE) else value
    own_names = model.state_dict().keys()
    model.load_state_dict({key: value for key, value in weights.items() if key in own_names}, strict=False)
    new = tuple(model.base_model.feature_extractor.conv_layers[len(_layers(given)) :]) if frontend else ()
    for layer in new:
        _as_mean_of_two(layer.conv)
    return Taken(frontend, new)


def shorter(weight: torch.Tensor, ratio: int) -> torch.Tensor:
    """Taps of shape (channels, 1, taps) for frames that are `ratio` times as long, as many of them, zeros at both ends.

    A tap between two of the new frames is shared between them: what is slower than a frame is weighted as before.
    """
    if ratio == 1:
        return weight
    middle = weight.shape[-1] // 2
    out = torch.zeros_like(weight)
    for tap in range(weight.shape[-1]):
        whole, part = divmod(tap - middle, ratio)
        out[..., middle + whole] += weight[..., tap] * (1 - part / ratio)
        if part:
            out[..., middle + whole + 1] += weight[..., tap] * (part / ratio)
    return out


def _as_mean_of_two(conv: nn.Conv1d) -> None:
    """Each channel the mean of its two middle taps, and a little of every other channel to learn from."""
    taps = conv.kernel_size[0]
    channels = torch.arange(conv.out_channels)
    with torch.no_grad():
        conv.weight.normal_(0, 0.01, generator=torch.Generator().manual_seed(0))
        conv.weight[channels, channels, taps // 2 - 1] += 0.5
        conv.weight[channels, channels, taps // 2] += 0.5
        if conv.bias is not None:
            conv.bias.zero_()


def _layers(config: Any) -> list[tuple[int, int, int]]:
    return list(zip(config.conv_dim, config.conv_kernel, config.conv_stride, strict=True))


def _stride(config: Any) -> int:
    stride = 1
    for step in config.conv_stride:
        stride *= int(step)
    return stride
