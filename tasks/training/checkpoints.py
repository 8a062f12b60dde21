"""What a speech training run keeps on disk: models for people, a state to go on from, and the last weights to average."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tasks.errors import Misconfigured
from tasks.machine.folders import replacing, write_whole

STATE = "run.json"


def save_model(target: Path, model: Any, processor: Any, *, half: bool = False, card: str | None = None) -> None:
    """Model, processor and card in the place of `target`, weights in fp16 with `half`. What `train lm` put there stays."""
    with replacing(target, keep="language_model") as part:
        weights = model.state_dict()
        if half:
            weights = {name: value.half() if value.is_floating_point() else value for name, value in weights.items()}
        model.save_pretrained(part, state_dict=weights)
        processor.save_pretrained(part)
        if card is not None:
            (part / "README.md").write_text(card, encoding="utf-8")


def save_state(target: Path, model: Any, processor: Any, optimizer: Any, state: Mapping[str, Any]) -> None:
    """All that a run needs to go on, in the place of `target`; `state` is what JSON can hold of it."""
    with replacing(target) as part:
        model.save_pretrained(part)
        processor.save_pretrained(part)
        slots = optimizer.state_dict()["state"]
        tensors = {f"{i}.{key}": value.contiguous() for i, slot in slots.items() for key, value in slot.items()}
        save_file(tensors, part / "optimizer.safetensors")
        (part / STATE).write_text(json.dumps(dict(state)), encoding="utf-8")


def load_state(source: Path, model: Any, optimizer: Any) -> dict[str, Any] | None:
    """Put what `save_state` kept into model and optimizer; returns `state`, None where there is none.

    Raises:
        Misconfigured: it is of a model of another shape.
    """
    if not (source / STATE).exists():
        return None
    load_weights(source / "model.safetensors", model)
    slots: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in load_file(source / "optimizer.safetensors").items():
        number, slot = name.split(".", 1)
        slots.setdefault(int(number), {})[slot] = value
    optimizer.load_state_dict({"state": slots, "param_groups": optimizer.state_dict()["param_groups"]})
    state: dict[str, Any] = json.loads((source / STATE).read_text(encoding="utf-8"))
    return state


def change_state(source: Path, changes: Mapping[str, Any]) -> None:
    """Change some entries of the `state` in a folder of `save_state`."""
    path = source / STATE
    write_whole(path, json.dumps(json.loads(path.read_text(encoding="utf-8")) | dict(changes)))


def load_weights(path: Path, model: Any) -> None:
    """Weights of a file into `model`.

    Raises:
        Misconfigured: they are of another shape.
    """
    try:
        left = model.load_state_dict(load_file(path), strict=False)
        fits = not left.missing_keys and not left.unexpected_keys
    except RuntimeError:  # what torch raises for a tensor of another shape
        fits = False
    if not fits:
        raise Misconfigured(f"{path.parent} holds a model of another shape.", next="Name another folder with --out.")


def keep_recent(folder: Path, step: int, model: Any, n: int) -> None:
    """Write the weights after `step` beside those of the steps before; only the last `n` stay."""
    folder.mkdir(parents=True, exist_ok=True)
    part, target = folder / ".part", folder / f"{step:09d}.safetensors"
    save_file({name: value.contiguous() for name, value in model.state_dict().items()}, part)
    part.replace(target)
    kept = recent(folder)
    now = kept.index(target) + 1
    for path in [*kept[: max(0, now - n)], *kept[now:]]:  # later ones are of steps that a kill has undone
        path.unlink()


def recent(folder: Path) -> list[Path]:
    """The files of `keep_recent`, oldest first."""
    return sorted(folder.glob("*.safetensors"))


def average(paths: Sequence[Path]) -> dict[str, torch.Tensor]:
    """The mean of the weights of several checkpoints of one run; counters are those of the last.

    It lies nearer to the middle of the valley that the steps of a run jump about in (Polyak & Juditsky 1992, "Acceleration
    of stochastic approximation by averaging").
    """
    total = load_file(paths[-1])
    for path in paths[:-1]:
        with safe_open(path, "pt") as older:
            for name, value in total.items():
                if value.is_floating_point():
                    value += older.get_tensor(name)
    return {name: value / len(paths) if value.is_floating_point() else value for name, value in total.items()}
