"""Small dual encoders of sounds with random weights, as folders."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from dual_encoders import LONGEST, TEXT, tokenizer
from transformers import ClapConfig, ClapFeatureExtractor, ClapModel

from tasks.stages.sound_events.options import LABELS

WORDS = tuple(dict.fromkeys(" ".join(LABELS).split()))


def clap(*, fused: bool = False) -> tuple[Any, Any, Any]:
    """With `fused`, of the kind that was trained to take longer clips in parts of different length."""
    sounds = {
        "hidden_size": 64, "patch_embeds_hidden_size": 8, "depths": [1, 1, 1, 1], "num_attention_heads": [1, 1, 2, 2],
        "num_hidden_layers": 4, "projection_dim": 24, "num_classes": 4, "enable_fusion": fused,
        "fusion_type": "aff_2d" if fused else None, "enable_patch_fusion": fused,
    }  # fmt: skip
    texts = {
        **TEXT,
        "vocab_size": len(WORDS) + 4,
        "type_vocab_size": 1,
        "max_position_embeddings": LONGEST + 2,
    }  # RoBERTa's begin at 2
    model = ClapModel(ClapConfig(text_config=texts, audio_config=sounds, projection_dim=24))
    return model, ClapFeatureExtractor(truncation="fusion" if fused else "rand_trunc"), tokenizer(WORDS)


CLASSES: Mapping[str, Callable[[], tuple[Any, Any, Any]]] = {"clap": clap, "clap, fused": lambda: clap(fused=True)}


def saved(kind: str, folder: Path, *, scale: float | None = None) -> Path:
    """With a great `scale` one label is always far likelier than all others, though the weights know nothing."""
    torch.manual_seed(5)
    model, *others = CLASSES[kind]()
    if scale is not None:
        with torch.no_grad():
            model.logit_scale_a.fill_(math.log(scale))
    for part in (model, *others):
        part.save_pretrained(folder)
    return folder
