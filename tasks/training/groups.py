"""The parameters of a model by how fast each is to learn."""

from __future__ import annotations

import re
from typing import Any

import torch

from tasks.errors import Misconfigured
from tasks.training.options import TrainingOptions

LAYER = re.compile(r"\blayers\.(\d+)\.")
HEAD = "lm_head."


def parameter_groups(model: Any, options: TrainingOptions) -> list[dict[str, Any]]:
    """Groups for AdamW; `scale` is what the learning rate of a group is multiplied by.

    Weights decay and biases do not. With `layer_decay` every layer learns that many times as fast as the one above it, and what
    lies below the first so many times as fast as that (Howard & Ruder, "Universal language model fine-tuning for text
    classification", 2018); the head has a rate of its own with `head_learning_rate`.
    """
    numbers = [int(found[1]) for name, _ in model.named_parameters() if (found := LAYER.search(name))]
    top = max(numbers, default=-1)

    def scale(name: str) -> float:
        if name.startswith(HEAD):
            return (options.head_learning_rate or options.learning_rate) / options.learning_rate
        found = LAYER.search(name)
        if found:
            return float(options.layer_decay ** (top - int(found[1])))
        return float(options.layer_decay ** (top + 1)) if _below(name) else 1.0

    groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    for decays in (True, False):  # as checkpoints number them
        for name, parameter in model.named_parameters():
            if parameter.requires_grad and (parameter.ndim >= 2) == decays:
                key = (options.weight_decay if decays else 0.0, scale(name))
                groups.setdefault(key, []).append(parameter)
    return [{"params": found, "weight_decay": decay, "scale": rate} for (decay, rate), found in groups.items()]


def freeze_layers(model: Any, count: int) -> None:
    """Leave the lowest `count` layers, and what lies below them, as they are: no step computes their gradients.

    Raises:
        Misconfigured: the model has no more layers than that.
    """
    if not count:
        return
    numbers = {int(found[1]) for name, _ in model.named_parameters() if (found := LAYER.search(name))}
    if count >= len(numbers):
        raise Misconfigured(
            f"{count} layers cannot stay as they are in a model of {len(numbers)}.", next="Freeze fewer of them."
        )
    for name, parameter in model.named_parameters():
        found = LAYER.search(name)
        if int(found[1]) < count if found else _below(name):
            parameter.requires_grad_(False)


def _below(name: str) -> bool:
    """Whether a part comes before the layers: convolutions, and what projects their output."""
    return any(part in name for part in ("feature_extractor", "feature_projection", "conv1", "conv2", "pos_conv"))
