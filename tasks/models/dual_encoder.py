"""Dual encoders: models that put two kinds of things, one of them texts, into one space, where what belongs together is near.

Whatever `AutoModel` of `transformers` loads and has features of both serves: of pictures (tasks/pictures) or of sounds
(tasks/sounds).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tasks.arrays import Array
from tasks.errors import ModelNotAvailable, OutOfMemory
from tasks.models.load import BatchSize, choose_device, choose_dtype, pretrained

BATCH = 16
SHORTEST = 1e-6  # of a vector that has a direction
# Learnt from texts that were always filled up to their full length, and with no mask that says so: shorter ones are others.
FILLED_UP = ("siglip", "siglip2")


@dataclass(frozen=True)
class DualEncoder:
    """A loaded model. `size` is how many numbers a vector has; all vectors are of unit length.

    `scale` and `bias` are those that its training multiplied and moved similarities by; `sigmoid` is whether each pair was judged
    alone, so that a similarity has a likelihood of its own. `what` is what messages call it: "picture model".
    """

    name: str
    what: str
    model: Any
    tokenizer: Any
    processor: Any
    longest_text: int
    scale: float
    bias: float
    sigmoid: bool
    device: torch.device
    dtype: torch.dtype
    size: int = 0
    batch: BatchSize = field(default_factory=lambda: BatchSize(BATCH))

    def texts(self, texts: Sequence[str]) -> Array:
        """Vectors of texts, shape (texts, size) float32; what is longer than `longest_text` tokens is cut.

        Raises:
            OutOfMemory: not even one fits.
        """
        return self.batched(self._of_texts, texts)

    def likelihood(self, similarity: float) -> float | None:
        """That a text fits, by its cosine; None of a model that learnt only which of many texts is the likeliest."""
        return 1 / (1 + math.exp(-(self.scale * similarity + self.bias))) if self.sigmoid else None

    def batched(self, infer: Callable[[Sequence[Any]], Array], items: Sequence[Any]) -> Array:
        """What `infer` makes of as many items at once as fit into memory, shape (items, size)."""
        rows: list[Array] = []
        while len(rows) < len(items):
            chosen = items[len(rows) : len(rows) + self.batch.items]
            rows += self.batch.forward(infer, chosen, self._one_is_too_large)
        return np.stack(rows) if rows else np.zeros((0, self.size), np.float32)

    def _one_is_too_large(self) -> OutOfMemory:
        return OutOfMemory(f"One item does not fit into memory with {self.name}.", next="Use a smaller model.")

    @torch.inference_mode()
    def _of_texts(self, texts: Sequence[str]) -> Array:
        filled = self.model.config.model_type in FILLED_UP
        inputs = self.tokenizer(
            list(texts),
            padding="max_length" if filled else True,
            max_length=self.longest_text,
            truncation=True,
            return_tensors="pt",
        ).to(self.device)
        return self.unit(self.model.get_text_features(**inputs))

    def unit(self, found: Any) -> Array:
        """Some models return the vectors, others what holds them; hardly any of unit length.

        Raises:
            ModelNotAvailable: they are no numbers, or have no direction.
        """
        vectors = (found if isinstance(found, torch.Tensor) else found.pooler_output).float()
        lengths = vectors.norm(dim=-1, keepdim=True)
        if not torch.isfinite(vectors).all() or bool((lengths < SHORTEST).any()):
            raise ModelNotAvailable(f"The {self.what} {self.name} gives no numbers.", next="Fetch it again.")
        unit: Array = (vectors / lengths).cpu().numpy()
        return unit


def parts_of(
    name: str, processor: Any, method: str, what: str, kind: str, *, revision: str | None, device: str, precision: str
) -> dict[str, Any]:
    """What a `DualEncoder` is made of, from a folder or (already fetched) from the hub's cache. `processor` is the Auto class of
    what is no text, `method` what gives the features of that.

    Raises:
        ModelNotAvailable: it is not on this machine, or has not features of both kinds.
    """
    from transformers import AutoModel, AutoTokenizer

    where = torch.device(choose_device(device))
    dtype = choose_dtype(precision, where)
    model = pretrained(AutoModel, name, what, kind, revision=revision, use_safetensors=True, dtype=torch.float32)
    if not (hasattr(model, method) and hasattr(model, "get_text_features")):
        raise ModelNotAvailable(
            f"The {what} {name} is {type(model).__name__}, and not {kind}.", next=f"Name another {what}."
        )
    tokenizer = pretrained(AutoTokenizer, name, what, kind, revision=revision)
    texts = getattr(model.config, "text_config", model.config)
    positions = int(getattr(texts, "max_position_embeddings", 77))
    bias = getattr(model, "logit_bias", None)
    return {
        "name": Path(name).name if Path(name).is_dir() else name,
        "what": what,
        "model": model.to(where, dtype).eval(),
        "tokenizer": tokenizer,
        "processor": pretrained(processor, name, what, kind, revision=revision),
        "longest_text": min(positions, int(tokenizer.model_max_length)),
        "scale": _scale(model),
        "bias": 0.0 if bias is None else bias.item(),
        "sigmoid": bias is not None,
        "device": where,
        "dtype": dtype,
    }


def require_same_size(one: Array, other: Array, what: str, name: str) -> int:
    """How many numbers the vectors of both kinds have.

    Raises:
        ModelNotAvailable: they differ.
    """
    if one.shape[-1] != other.shape[-1]:
        raise ModelNotAvailable(
            f"The vectors of both kinds of {name} have not the same size.", next=f"Name another {what}."
        )
    return int(one.shape[-1])


def _scale(model: Any) -> float:
    """What similarities are multiplied by: CLIP and SigLIP learn its logarithm, CLAP too (of its sounds), ALIGN one over it."""
    for name in ("logit_scale", "logit_scale_a"):
        if (logarithm := getattr(model, name, None)) is not None:
            return math.exp(logarithm.item())
    temperature = getattr(model, "temperature", None)
    return 1.0 if temperature is None else 1 / temperature.item()
