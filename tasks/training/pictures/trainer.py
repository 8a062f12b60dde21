"""Trains a model of pictures and texts: any dual encoder that `tasks/pictures/encoder.py` loads, or a small CLIP from nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageEnhance

from tasks.models.dual_encoder import FILLED_UP
from tasks.training.pairs.loop import PairTrainer, PairTraining, pooled
from tasks.training.pairs.losses import contrast, sigmoid

LEAST_SHOWN = 0.85  # of each side of a picture that is cut


@dataclass(frozen=True, kw_only=True)
class PictureTraining(PairTraining):
    """`augment` cuts a little off the edges, and changes brightness and contrast a little: what is to be seen stays what it is.
    Nothing is mirrored: captions may say what is on the left."""


@dataclass(frozen=True)
class Pictures:
    """Pictures in files, with the captions of each."""

    files: tuple[Path, ...]
    captions: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        return len(self.files)

    def picture(self, number: int) -> Image.Image:
        with Image.open(self.files[number]) as opened:
            return opened.convert("RGB")


class PictureTrainer(PairTrainer[PictureTraining]):
    """The others are what the processor makes of pictures."""

    kind = "picture"

    def __init__(
        self, model: Any, processor: Any, train: Pictures, validation: Pictures, folder: Path, options: PictureTraining
    ) -> None:
        self.train, self.validation = train, validation
        super().__init__(model, model, processor, train.captions, validation.captions, folder, options)

    def inputs(self, chosen: Sequence[int], rng: np.random.Generator) -> Mapping[str, torch.Tensor]:
        pictures = [self.train.picture(n) for n in chosen]
        return self.seen([varied(one, rng) for one in pictures] if self.options.augment else pictures)

    def judged_inputs(self, chosen: Sequence[int]) -> Mapping[str, torch.Tensor]:
        return self.seen([self.validation.picture(n) for n in chosen])

    def seen(self, pictures: Sequence[Image.Image]) -> Mapping[str, torch.Tensor]:
        made = self.processor.extractor(images=list(pictures), return_tensors="pt")
        return {name: value.to(self.device) for name, value in made.items()}

    def tokens(self, texts: Sequence[str]) -> dict[str, torch.Tensor]:
        if self.model.config.model_type not in FILLED_UP:
            return super().tokens(texts)
        longest = min(self.model.config.text_config.max_position_embeddings, self.processor.tokenizer.model_max_length)
        given = self.processor.tokenizer(
            list(texts), padding="max_length", truncation=True, max_length=longest, return_tensors="pt"
        )
        return {name: value.to(self.device) for name, value in given.items()}

    def vectors(self, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return pooled(self.model.get_image_features(**inputs))

    def loss(
        self, inputs: Mapping[str, torch.Tensor], tokens: Mapping[str, torch.Tensor], same: torch.Tensor
    ) -> Mapping[str, torch.Tensor]:
        pictures, texts = self.vectors(inputs), self.texts(tokens)
        bias = getattr(self.model, "logit_bias", None)
        if bias is not None:
            return {"sigmoid": sigmoid(pictures, texts, same, self.model.logit_scale.exp(), bias)}
        logarithm = getattr(self.model, "logit_scale", None)
        scale = 1 / self.model.temperature if logarithm is None else logarithm.exp().clamp(max=100.0)  # ALIGN, CLIP
        return {"contrast": contrast(pictures, texts, same, scale)}


def varied(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """A little less of it, a little brighter or darker."""
    width, height = picture.size
    share = rng.uniform(LEAST_SHOWN, 1.0)
    left, top = rng.uniform(0, 1 - share) * width, rng.uniform(0, 1 - share) * height
    cut = picture.crop((int(left), int(top), int(left + share * width), int(top + share * height)))
    brighter = ImageEnhance.Brightness(cut).enhance(float(rng.uniform(0.85, 1.15)))
    return ImageEnhance.Contrast(brighter).enhance(float(rng.uniform(0.85, 1.15)))
