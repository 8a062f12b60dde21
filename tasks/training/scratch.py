"""A small wav2vec2 to train from scratch, for machines without a GPU and archives without a network.

Three wide convolutions instead of seven (strides 20, 4, 4: still 320 samples a frame, 50 frames a second), layer norm
throughout, and conformer blocks (Gulati et al. 2020), which learn from less. The first layer starts as a bank of
windowed cosines on the mel scale, as SincNet and LEAF suggest (Ravanelli & Bengio 2018; Zeghidour et al. 2021): a random
one needs hours of audio to become that.
"""

from __future__ import annotations

import json
import math
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

ALPHABET = "abcdefghijklmnopqrstuvwxyz'"


def small_processor(alphabet: str = ALPHABET) -> Wav2Vec2Processor:
    """Character tokenizer (blank is `<pad>`, a space is `|`) and a feature extractor that normalises each file."""
    vocab = {token: i for i, token in enumerate(["<pad>", "<unk>", "|", *alphabet])}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "vocab.json")
        path.write_text(json.dumps(vocab), encoding="utf-8")
        tokenizer = Wav2Vec2CTCTokenizer(
            str(path), unk_token="<unk>", pad_token="<pad>", word_delimiter_token="|", bos_token=None, eos_token=None
        )
    extractor = Wav2Vec2FeatureExtractor(
        feature_size=1, sampling_rate=16_000, padding_value=0.0, do_normalize=True, return_attention_mask=True
    )
    return Wav2Vec2Processor(feature_extractor=extractor, tokenizer=tokenizer)


def small_model(
    vocab_size: int, *, hidden: int = 256, layers: int = 6, seed: int = 0, mask_time: float = 0.05
) -> Wav2Vec2ConformerForCTC:
    """A wav2vec2 with conformer blocks of about `layers * hidden² * 20` parameters and 1.3 million more."""
    torch.manual_seed(seed)
    config = Wav2Vec2ConformerConfig(
        vocab_size=vocab_size,
        hidden_size=hidden,
        num_hidden_layers=layers,
        num_attention_heads=hidden // 64,
        intermediate_size=hidden * 3,
        hidden_act="swish",
        position_embeddings_type="rotary",
        num_conv_pos_embeddings=64,  # of a layer that is made and, with rotary positions, not used
        conv_depthwise_kernel_size=15,
        conv_dim=(256, 256, 256),
        conv_kernel=(256, 8, 8),
        conv_stride=(20, 4, 4),
        conv_bias=True,
        feat_extract_norm="layer",
        # Dropout halves the speed on a CPU; masks, speed and noise do its work.
        hidden_dropout=0.0,
        attention_dropout=0.0,
        activation_dropout=0.0,
        conformer_conv_dropout=0.0,
        feat_proj_dropout=0.0,
        final_dropout=0.0,
        layerdrop=0.0,
        mask_time_prob=mask_time,
        mask_time_length=10,
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
        first.weight.copy_(mel_cosines(first.weight.shape[0], first.weight.shape[2]))
        first.bias.zero_()
    return model


def mel_cosines(filters: int, taps: int, low_hz: float = 60.0, high_hz: float = 7600.0) -> torch.Tensor:
    """Shape (filters, 1, taps): windowed cosines and sines in pairs, centres even on the mel scale, unit norm.

    Each window is as long as the mel filter of its centre is narrow, and at most `taps` samples.
    """

    def mel(hz: float) -> float:
        return 2595 * math.log10(1 + hz / 700)

    pairs = filters // 2
    marks = torch.linspace(mel(low_hz), mel(high_hz), pairs)
    centres = 700 * (10 ** (marks / 2595) - 1)
    width = 24.7 * (4.37 * centres / 1000 + 1) * 1.5  # equivalent rectangular bandwidth (Glasberg & Moore 1990)
    time = (torch.arange(taps) - (taps - 1) / 2) / 16_000
    window = torch.exp(-0.5 * (time[None] * width[:, None] * math.pi) ** 2) * torch.hann_window(taps, False)[None]
    phase = 2 * math.pi * centres[:, None] * time[None]
    bank = torch.stack((window * torch.cos(phase), window * torch.sin(phase)), 1).reshape(filters, taps)
    unit: torch.Tensor = bank / bank.norm(dim=1, keepdim=True)
    return unit[:, None, :]
