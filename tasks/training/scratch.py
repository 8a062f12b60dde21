"""A small wav2vec2 to train from scratch, for machines without a GPU and archives without a network.

Four wide convolutions instead of seven (strides 80, 2, 2, 2: 640 samples a frame, 25 frames a second, half as many as
wav2vec2 has; or three of them, and as many frames), which `tasks.training.frontend` teaches to be a mel filterbank, and
conformer blocks (Gulati et al. 2020), which learn from less than transformers do. English is said with 15 letters a second;
half the frames is twice the speed, in training, hearing and beam search.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import torch
from transformers import (
    Wav2Vec2ConformerConfig,
    Wav2Vec2ConformerForCTC,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2Processor,
)

from tasks.training.frontend import cosine_bank

# By the length of a frame: layers of stride 2 after the first of stride 80, and frames in a mask of about 0.2 s.
FRAMES = {20: (2, 10), 40: (3, 6)}
ALPHABET = "abcdefghijklmnopqrstuvwxyz'"


def letters(alphabet: str = ALPHABET) -> Wav2Vec2CTCTokenizer:
    """Character tokenizer: the blank is `<pad>`, a space is `|`."""
    vocab = {token: i for i, token in enumerate(["<pad>", "<unk>", "|", *alphabet])}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "vocab.json")
        path.write_text(json.dumps(vocab), encoding="utf-8")
        return Wav2Vec2CTCTokenizer(
            str(path), unk_token="<unk>", pad_token="<pad>", word_delimiter_token="|", bos_token=None, eos_token=None
        )


def small_processor() -> Wav2Vec2Processor:
    """The tokenizer of `letters`, and a feature extractor that normalises each file."""
    extractor = Wav2Vec2FeatureExtractor(
        feature_size=1, sampling_rate=16_000, padding_value=0.0, do_normalize=True, return_attention_mask=True
    )
    return Wav2Vec2Processor(feature_extractor=extractor, tokenizer=letters())


def small_model(
    vocab_size: int,
    *,
    hidden: int = 256,
    layers: int = 6,
    frame_ms: int = 40,
    seed: int = 0,
    mask_time: float = 0.05,
) -> Wav2Vec2ConformerForCTC:
    """A wav2vec2 with conformer blocks of about `layers * hidden² * 20` parameters and 1.1 million more."""
    torch.manual_seed(seed)
    halvings, mask = FRAMES[frame_ms]
    config = Wav2Vec2ConformerConfig(
        vocab_size=vocab_size,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 64,
        intermediate_size=hidden * 3,
        hidden_act="swish",
        position_embeddings_type="rotary",
        num_conv_pos_embeddings=2,  # of a layer that is made and, with rotary positions, not used
        conv_depthwise_kernel_size=15,
        conv_dim=(256,) * (1 + halvings),
        conv_kernel=(400, *(4,) * halvings),
        conv_stride=(80, *(2,) * halvings),
        conv_bias=True,
        feat_extract_norm="group",
        # Dropout halves the speed on a CPU; masks, speed and noise do its work.
        hidden_dropout=0.0,
        attention_dropout=0.0,
        activation_dropout=0.0,
        conformer_conv_dropout=0.0,
        feat_proj_dropout=0.0,
        final_dropout=0.0,
        layerdrop=0.0,
        mask_time_prob=mask_time,
        mask_time_length=mask,
        mask_feature_prob=0.05,
        mask_feature_length=16,
        ctc_loss_reduction="mean",
        ctc_zero_infinity=True,
        pad_token_id=0,
        bos_token_id=None,
        eos_token_id=None,
    )
    model = Wav2Vec2ConformerForCTC(config)
    with torch.no_grad():
        first = model.wav2vec2_conformer.feature_extractor.conv_layers[0].conv
        first.weight.copy_(cosine_bank(first.weight.shape[0], first.weight.shape[2]))
        first.bias.zero_()
    return model
