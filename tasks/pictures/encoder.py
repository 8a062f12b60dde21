"""Pictures and texts in one space (Radford et al. 2021, CLIP; Jia et al. 2021, ALIGN; Zhai et al. 2023, SigLIP), by any dual
encoder that `AutoModel` loads and that has both `get_image_features` and `get_text_features`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from PIL import Image

from tasks.arrays import Array
from tasks.models.dual_encoder import DualEncoder, parts_of, require_same_size
from tasks.models.load import loaded_once

WHAT, KIND = "picture model", "a dual encoder of pictures and texts"


@dataclass(frozen=True)
class PictureEncoder(DualEncoder):
    """A dual encoder of pictures."""

    def pictures(self, files: Sequence[str | Path]) -> Array:
        """Vectors of pictures in files, shape (pictures, size) float32; as many are in memory as the model takes at once.

        Raises:
            OutOfMemory: not even one fits.
        """
        return self.batched(self._of_pictures, files)

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
        return self.unit(self.model.get_image_features(**inputs))


def load_picture_encoder(
    name: str, *, revision: str | None = None, device: str = "auto", precision: str = "auto"
) -> PictureEncoder:
    """Load a picture model once for this process, from a folder or (already fetched) from the hub's cache.

    Raises:
        ModelNotAvailable: it is not on this machine, or is no dual encoder of pictures.
    """

    def load() -> PictureEncoder:
        from transformers import AutoImageProcessor

        found = parts_of(
            name,
            AutoImageProcessor,
            "get_image_features",
            WHAT,
            KIND,
            revision=revision,
            device=device,
            precision=precision,
        )
        made = PictureEncoder(**found)
        blank = made.of(Image.new("RGB", (64, 64)))
        return replace(made, size=require_same_size(blank, made.texts(["a picture"]), WHAT, made.name))

    return loaded_once(("pictures", name, revision, device, precision), load)
