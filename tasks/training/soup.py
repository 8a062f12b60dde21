"""One speech model of several that were trained from the same weights: the mean of what they hold."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import torch
from transformers import PreTrainedModel

from tasks.errors import Misconfigured
from tasks.evaluation.cards import card
from tasks.training.base_model import load_for_training
from tasks.training.checkpoints import save_model


def average_models(names: Sequence[str], target: Path, *, half: bool = False) -> None:
    """Write the mean of the weights of CTC models (folders or hub ids) to the new folder `target`, with a card.

    Models that began with the same weights and went other ways lie in one valley, and their mean lies lower in it than each
    (Wortsman et al., "Model soups", 2022). Of models with nothing in common it is noise. `half` keeps it in fp16.

    Raises:
        Misconfigured: they are fewer than two, differ in shape or letters, are no models of speech, or `target` holds
            something.
    """
    if len(names) < 2:
        raise Misconfigured("The mean of one model is that model.", next="Name two or more.")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise Misconfigured(f"{target} is there already; nothing was changed.", next="Name another folder with --out.")
    model, processor = load_for_training(names[0])
    total = _tensors(model)
    for name in names[1:]:
        other, its_processor = load_for_training(name)
        weights = _tensors(other)
        if {key: value.shape for key, value in weights.items()} != {key: value.shape for key, value in total.items()}:
            raise Misconfigured(f"{name} has another shape than {names[0]}.", next="Average runs of one model.")
        if its_processor.tokenizer.get_vocab() != processor.tokenizer.get_vocab():
            raise Misconfigured(f"{name} writes other letters than {names[0]}.", next="Average runs of one model.")
        for key, value in total.items():
            value += weights[key]
    for value in total.values():  # the model's own
        value /= len(names)
    described = ", ".join("/".join(Path(name).parts[-2:]) for name in names)
    made = {"mean of": described, "made": datetime.now(UTC).strftime("%Y-%m-%d")}
    save_model(target, model, processor, half=half, card=card(target.name, "A CTC speech model.", made, {}, []))


def _tensors(model: PreTrainedModel) -> dict[str, torch.Tensor]:
    """Parameters and statistics of a model by name, each once though it may have two; without counters."""
    named = [*model.named_parameters(), *model.named_buffers()]
    return {name: value.detach() for name, value in named if value.is_floating_point()}
