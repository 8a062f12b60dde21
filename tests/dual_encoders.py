"""Small dual encoders with random weights, of the classes that people use, as folders."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, pre_tokenizers, processors
from tokenizers.models import WordLevel
from transformers import (
    AlignConfig,
    AlignModel,
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    EfficientNetImageProcessor,
    PreTrainedTokenizerFast,
    SiglipConfig,
    SiglipImageProcessor,
    SiglipModel,
)

WORDS = ("a", "red", "green", "blue", "circle", "square", "on", "of", "picture")
LONGEST = 8
TEXT = {
    "vocab_size": len(WORDS) + 4, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
    "num_attention_heads": 2, "max_position_embeddings": LONGEST, "pad_token_id": 0, "bos_token_id": 2, "eos_token_id": 3,
}  # fmt: skip
VISION = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "image_size": 32,
    "patch_size": 8,
}  # fmt: skip
SIDE = {"height": 32, "width": 32}


def tokenizer(words: Sequence[str] = WORDS, *, masked: bool = True) -> PreTrainedTokenizerFast:
    vocabulary = {word: number for number, word in enumerate(("<pad>", "<unk>", "<s>", "</s>", *words))}
    made = Tokenizer(WordLevel(vocabulary, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    made.post_processor = processors.TemplateProcessing("<s> $A </s>", special_tokens=[("<s>", 2), ("</s>", 3)])
    names = ["input_ids", "attention_mask"] if masked else ["input_ids"]
    return PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="<pad>", unk_token="<unk>", bos_token="<s>", eos_token="</s>",
        model_max_length=LONGEST, model_input_names=names,
    )  # fmt: skip


def clip() -> tuple[Any, Any, Any]:
    model = CLIPModel(CLIPConfig(text_config=TEXT, vision_config=VISION, projection_dim=24))
    return model, CLIPImageProcessor(size={"shortest_edge": 32}, crop_size=SIDE), tokenizer()


def siglip() -> tuple[Any, Any, Any]:
    model = SiglipModel(SiglipConfig(text_config={**TEXT, "projection_size": 32}, vision_config=VISION))
    return model, SiglipImageProcessor(size=SIDE), tokenizer(masked=False)


def align() -> tuple[Any, Any, Any]:
    vision = {
        "image_size": 32, "width_coefficient": 0.2, "depth_coefficient": 0.2, "hidden_dim": 32, "kernel_sizes": [3, 3],
        "in_channels": [32, 16], "out_channels": [16, 160], "strides": [1, 2], "num_block_repeats": [1, 1],
        "expand_ratios": [1, 2], "depthwise_padding": [], "num_hidden_layers": 4,
    }  # fmt: skip
    model = AlignModel(AlignConfig(text_config={**TEXT, "type_vocab_size": 2}, vision_config=vision, projection_dim=32))
    for parameter in model.vision_model.parameters():  # random ones make next to nothing of a picture
        if parameter.ndim == 4:
            torch.nn.init.orthogonal_(parameter, gain=2.0)
    return model, EfficientNetImageProcessor(size=SIDE), tokenizer()


CLASSES: Mapping[str, Callable[[], tuple[Any, Any, Any]]] = {"clip": clip, "siglip": siglip, "align": align}


def saved(kind: str, folder: Path) -> Path:
    torch.manual_seed(5)
    for part in CLASSES[kind]():
        part.save_pretrained(folder)
    return folder
