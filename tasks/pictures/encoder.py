"""Dual encoders: models that put pictures and texts into one space (Radford et al. 2021, CLIP; Jia et al. 2021, ALIGN; Zhai et
al. 2023, SigLIP), any that `AutoModel` loads and that has both `get_image_features` and `get_text_features`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from tasks.arrays import Array
from tasks.errors import ModelNotAvailable, OutOfMemory
from tasks.models.load import BatchSize, choose_device, choose_dtype, loaded_once, pretrained

WHAT, KIND = "picture model", "a dual encoder of pictures and texts"
BATCH = 16
SHORTEST = 1e-6  # of a vector that has a direction
# Learnt from texts that were always filled up to their full length, and with no mask that says so: shorter ones are others.
FILLED_UP = ("siglip", "siglip2")


@dataclass(frozen=True)
class DualEncoder:
    """A loaded model. `size` is how many numbers a vector has; all vectors are of unit length.

    `scale` and `bias` are those that its training multiplied and moved similarities by; `sigmoid` is whether each pair was judged
    alone, so that a similarity has a likelihood of its own.
    """

    name: str
    model: Any
    tokenizer: Any
    processor: Any
    size: int
    longest_text: int
    scale: float
    bias: float
    sigmoid: bool
    device: torch.device
    dtype: torch.dtype
    batch: BatchSize = field(default_factory=lambda: BatchSize(BATCH))

    def pictures(self, files: Sequence[str | Path]) -> Array:
        """Vectors of pictures in files, shape (pictures, size) float32; as many are in memory as the model takes at once.

        Raises:
            OutOfMemory: not even one fits.
        """
        return self._batched(self._of_pictures, files)

    def texts(self, texts: Sequence[str]) -> Array:
        """Vectors of texts, shape (texts, size) float32; what is longer than `longest_text` tokens is cut.

        Raises:
            OutOfMemory: not even one fits.
        """
        return self._batched(self._of_texts, texts)

    def likelihood(self, similarity: float) -> float | None:
        """That a text is of a picture, by their cosine; None of a model that learnt only which of many texts is the likeliest."""
        return 1 / (1 + math.exp(-(self.scale * similarity + self.bias))) if self.sigmoid else None

    def _batched(self, infer: Callable[[Sequence[Any]], Array], items: Sequence[Any]) -> Array:
        rows: list[Array] = []
        while len(rows) < len(items):
            chosen = items[len(rows) : len(rows) + self.batch.items]
            rows += self.batch.forward(infer, chosen, self._one_is_too_large)
        return np.stack(rows) if rows else np.zeros((0, self.size), np.float32)

    def _one_is_too_large(self) -> OutOfMemory:
        return OutOfMemory(f"One picture does not fit into memory with {self.name}.", next="Use a smaller model.")

    def of(self, picture: Image.Image) -> Array:
        """The vector of one picture in memory, shape (size,)."""
        row: Array = self._forward([picture.convert("RGB")])[0]
        return row

    def _of_pictures(self, files: Sequence[str | Path]) -> Array:
        pictures = []
        for file in files:
            with Image.open(file) as picture:
                pictures.append(picture.convert("RGB"))
        return self._forward(pictures)

    @torch.inference_mode()
    def _forward(self, pictures: Sequence[Image.Image]) -> Array:
        inputs = self.processor(images=list(pictures), return_tensors="pt").to(self.device)
        if "pixel_values" in inputs:
            inputs["pixel_values"] = inputs["pixel_values"].to(self.dtype)
        return self._unit(self.model.get_image_features(**inputs))

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
        return self._unit(self.model.get_text_features(**inputs))

    def _unit(self, found: Any) -> Array:
        """Some models return the vectors, others what holds them; hardly any of unit length.

        Raises:
            ModelNotAvailable: they are no numbers, or have no direction.
        """
        vectors = (found if isinstance(found, torch.Tensor) else found.pooler_output).float()
        lengths = vectors.norm(dim=-1, keepdim=True)
        if not torch.isfinite(vectors).all() or bool((lengths < SHORTEST).any()):
            raise ModelNotAvailable(f"The picture model {self.name} gives no numbers.", next="Fetch it again.")
        unit: Array = (vectors / lengths).cpu().numpy()
        return unit


def load_dual_encoder(
    name: str, *, revision: str | None = None, device: str = "auto", precision: str = "auto"
) -> DualEncoder:
    """Load a dual encoder once for this process, from a folder or (already fetched) from the hub's cache.

    Raises:
        ModelNotAvailable: it is not on this machine, or is no dual encoder.
    """
    options = (name, revision, device, precision)
    return loaded_once(("pictures", *options), lambda: _load(*options))


def _load(name: str, revision: str | None, device: str, precision: str) -> DualEncoder:
    from transformers import AutoImageProcessor, AutoModel, AutoTokenizer

    where = torch.device(choose_device(device))
    dtype = choose_dtype(precision, where)
    model = pretrained(AutoModel, name, WHAT, KIND, revision=revision, use_safetensors=True, dtype=torch.float32)
    if not (hasattr(model, "get_image_features") and hasattr(model, "get_text_features")):
        raise ModelNotAvailable(
            f"The picture model {name} is {type(model).__name__}, and no dual encoder of pictures and texts.",
            next="Name a CLIP, SigLIP, ALIGN or another one that has both.",
        )
    tokenizer = pretrained(AutoTokenizer, name, WHAT, KIND, revision=revision)
    processor = pretrained(AutoImageProcessor, name, WHAT, KIND, revision=revision)
    texts = getattr(model.config, "text_config", model.config)
    positions = int(getattr(texts, "max_position_embeddings", 77))
    scale, bias = _scale(model), getattr(model, "logit_bias", None)
    made = DualEncoder(
        name=Path(name).name if Path(name).is_dir() else name,
        model=model.to(where, dtype).eval(),
        tokenizer=tokenizer,
        processor=processor,
        size=0,
        longest_text=min(positions, int(tokenizer.model_max_length)),
        scale=scale,
        bias=0.0 if bias is None else bias.item(),
        sigmoid=bias is not None,
        device=where,
        dtype=dtype,
    )
    size = made.texts(["a picture"]).shape[1]
    blank = Image.new("RGB", (64, 64))
    if made.of(blank).shape != (size,):
        raise ModelNotAvailable(
            f"The vectors of pictures and texts of {name} have not the same size.", next="Name another picture model."
        )
    return replace(made, size=size)


def _scale(model: Any) -> float:
    """What similarities are multiplied by: CLIP and SigLIP learn its logarithm, ALIGN one over it."""
    if (logarithm := getattr(model, "logit_scale", None)) is not None:
        return math.exp(logarithm.item())
    temperature = getattr(model, "temperature", None)
    return 1.0 if temperature is None else 1 / temperature.item()
