"""Whisper's encoder with a linear CTC head: a class of `transformers` that any Whisper checkpoint's encoder fits.

The encoder of Radford et al. ("Robust speech recognition via large-scale weak supervision", 2023) has heard far more speech
than anybody who trains here has; with CTC (Graves et al. 2006) on top there is no decoder that could go on writing by itself.
Windows may have any length up to its thirty seconds: the sinusoids of its positions are computed, and nothing is padded.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from transformers import (
    AutoConfig,
    AutoFeatureExtractor,
    AutoModelForCTC,
    BatchFeature,
    PreTrainedConfig,
    PreTrainedModel,
    SequenceFeatureExtractor,
)
from transformers.audio_utils import mel_filter_bank
from transformers.masking_utils import create_bidirectional_mask
from transformers.modeling_outputs import CausalLMOutput
from transformers.models.whisper.modeling_whisper import WhisperEncoderLayer

from tasks.arrays import Array

MODEL_TYPE = "whisper_ctc"
DARKEST = 1e-10  # of a mel spectrum's power, before the logarithm


class WhisperCTCConfig(PreTrainedConfig):  # type: ignore[misc]
    """The shape of the encoder as in `WhisperConfig`, the size of the vocabulary, and the masks of SpecAugment (Park et al. 2019)
    over the mel spectrogram in training: `mask_time_prob` of the frames in pieces of up to `mask_time_length`, and
    `mask_feature_masks` bands of up to `mask_feature_length` mel bins."""

    model_type = MODEL_TYPE

    vocab_size: int = 32
    pad_token_id: int = 0
    num_mel_bins: int = 80
    d_model: int = 384
    encoder_layers: int = 4
    encoder_attention_heads: int = 6
    encoder_ffn_dim: int = 1536
    activation_function: str = "gelu"
    dropout: float = 0.0
    attention_dropout: float = 0.0
    activation_dropout: float = 0.0
    encoder_layerdrop: float = 0.0
    initializer_range: float = 0.02
    apply_spec_augment: bool = True
    mask_time_prob: float = 0.1
    mask_time_length: int = 40
    mask_feature_masks: int = 2
    mask_feature_length: int = 20
    is_encoder_decoder: bool = False
    longest_window_s: float = 30.0  # beyond, positions are such as its training never saw, and words are lost


class LogMelExtractor(SequenceFeatureExtractor):  # type: ignore[misc]
    """Whisper's log-mel spectrogram, 25 ms every 10 ms, of as much sound as it is given.

    Power is cut `floor` decades below the loudest moment, as Whisper does it in its thirty seconds: of a file that is heard in
    windows, `loudest` is the loudest of them all.
    """

    model_input_names: ClassVar[list[str]] = ["input_features", "attention_mask"]

    def __init__(
        self,
        feature_size: int = 80,
        sampling_rate: int = 16_000,
        hop_length: int = 160,
        n_fft: int = 400,
        floor: float = 8.0,
        padding_value: float = 0.0,
        **rest: Any,
    ) -> None:
        self.hop_length, self.n_fft, self.floor = hop_length, n_fft, floor
        super().__init__(feature_size=feature_size, sampling_rate=sampling_rate, padding_value=padding_value, **rest)

    def __call__(
        self,
        raw_speech: Array | Sequence[Array],
        *,
        sampling_rate: int,
        padding: bool = True,
        return_tensors: str | None = None,
    ) -> BatchFeature:
        """Mono clips at `sampling_rate` to `input_features` (clips, frames, bins) and `attention_mask` (clips, frames)."""
        if sampling_rate != self.sampling_rate:
            raise ValueError(f"Sound at {sampling_rate} Hz for features at {self.sampling_rate} Hz.")
        clips = [raw_speech] if isinstance(raw_speech, np.ndarray) and raw_speech.ndim == 1 else raw_speech
        made = [self.scaled(raw, float(raw.max())) for raw in map(self.power, clips)]
        longest = max(map(len, made))
        features = np.stack([np.pad(one, ((0, longest - len(one)), (0, 0)), mode="edge") for one in made])
        mask = np.arange(longest)[None] < np.array([len(one) for one in made])[:, None]
        return BatchFeature(
            {"input_features": features, "attention_mask": mask.astype(np.int64)}, tensor_type=return_tensors
        )

    def power(self, wave: Array, *, whole: bool = True) -> Array:
        """log10 of the power of each mel bin: (samples,) to (frames, bins) float32.

        A `whole` clip is mirrored at its ends and has samples / hop frames. Otherwise the caller gives half an FFT more at each
        end, and gets the frames between.
        """
        sound = torch.from_numpy(np.ascontiguousarray(wave, np.float32))
        spectrum = torch.stft(
            sound, self.n_fft, self.hop_length, window=hann(self.n_fft), center=whole, return_complex=True
        )[:, :-1]
        mel = mel_filters(self.feature_size, self.n_fft, self.sampling_rate) @ spectrum.abs().square()
        made: Array = mel.clamp(min=DARKEST).log10().T.contiguous().numpy()
        return made

    def scaled(self, power: Array, loudest: float) -> Array:
        """`power` as the model takes it: cut at the floor, near -1 to 1."""
        made: Array = (np.maximum(power, np.float32(loudest - self.floor)) + np.float32(4)) / np.float32(4)
        return made


@functools.cache
def hann(size: int) -> torch.Tensor:
    return torch.hann_window(size)


@functools.cache
def mel_filters(bins: int, n_fft: int, rate: int) -> torch.Tensor:
    """Slaney's filters from 0 to half the rate, (bins, frequencies)."""
    bank = mel_filter_bank(1 + n_fft // 2, bins, 0.0, rate / 2, rate, norm="slaney", mel_scale="slaney")
    return torch.from_numpy(bank.T.astype(np.float32))


class WhisperForCTC(PreTrainedModel):  # type: ignore[misc]
    """Mel frames (clips, frames, bins) to logits (clips, ceil(frames / 2), tokens), 20 ms each."""

    config_class = WhisperCTCConfig
    main_input_name = "input_features"
    base_model_prefix = "encoder"
    supports_gradient_checkpointing = True
    _no_split_modules: ClassVar[list[str]] = ["WhisperEncoderLayer"]
    _supports_sdpa = True
    _supports_attention_backend = True

    def __init__(self, config: WhisperCTCConfig) -> None:
        super().__init__(config)
        self.encoder = WhisperStack(config)
        self.lm_head = nn.Linear(config.d_model, config.vocab_size)
        self.post_init()

    def forward(
        self,
        input_features: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        output_hidden_states: bool = False,
    ) -> CausalLMOutput:
        """`attention_mask` is 1 for the frames of a clip; without it, all are."""
        if self.training and self.config.apply_spec_augment:
            input_features = self._masked(input_features)
        states = self.encoder(input_features, attention_mask)
        return CausalLMOutput(
            logits=self.lm_head(states[-1]), hidden_states=tuple(states) if output_hidden_states else None
        )

    def _masked(self, features: torch.Tensor) -> torch.Tensor:
        """With pieces of time and bands of frequencies at the mean of their clip; drawn from torch's generator."""
        config = self.config
        clips, frames, bins = features.shape
        pieces = (
            max(1, round(2 * config.mask_time_prob * frames / config.mask_time_length)) if config.mask_time_prob else 0
        )
        hidden = torch.zeros(clips, frames, bins, dtype=torch.bool)
        for size, count, longest, shape in (
            (frames, pieces, config.mask_time_length, (clips, frames, 1)),
            (bins, config.mask_feature_masks, config.mask_feature_length, (clips, 1, bins)),
        ):
            at = torch.arange(size)[None]
            for _ in range(count):
                width = torch.rand(clips, 1) * min(longest, size)
                begin = torch.rand(clips, 1) * (size - width)
                hidden |= ((at >= begin) & (at < begin + width)).view(shape)
        mean = features.mean((1, 2), keepdim=True)
        return torch.where(hidden.to(features.device), mean, features)

    def _get_feat_extract_output_lengths(self, input_lengths: torch.Tensor) -> torch.Tensor:
        return (input_lengths + 1) // 2


class WhisperStack(nn.Module):
    """Whisper's encoder, with the names of its parts."""

    def __init__(self, config: WhisperCTCConfig) -> None:
        super().__init__()
        self.config = config
        self.conv1 = nn.Conv1d(config.num_mel_bins, config.d_model, kernel_size=3, padding=1)
        self.conv2 = nn.Conv1d(config.d_model, config.d_model, kernel_size=3, stride=2, padding=1)
        self.layers = nn.ModuleList(WhisperEncoderLayer(config) for _ in range(config.encoder_layers))
        self.layer_norm = nn.LayerNorm(config.d_model)

    def forward(self, features: torch.Tensor, attention_mask: torch.Tensor | None) -> list[torch.Tensor]:
        """The states after each layer, the last of them normalised: (clips, frames / 2, size)."""
        # What comes after a clip is nothing to the convolutions, as it is where the clip is alone.
        there = None if attention_mask is None else attention_mask[:, None].to(features)
        state = features.transpose(1, 2)
        state = functional.gelu(self.conv1(state if there is None else state * there))
        state = functional.gelu(self.conv2(state if there is None else state * there)).transpose(1, 2)
        state = state + sinusoids(state.shape[1], state.shape[2]).to(state)
        state = functional.dropout(state, self.config.dropout, self.training)
        mask = None
        if attention_mask is not None:  # a frame is there when the first of its two mel frames is
            mask = create_bidirectional_mask(self.config, state, attention_mask[:, ::2].bool())
        states = []
        for layer in self.layers:
            if not self.training or torch.rand([]) >= self.config.encoder_layerdrop:
                state = layer(state, mask)
            states.append(state)
        states[-1] = self.layer_norm(states[-1])
        return states


@functools.lru_cache(maxsize=32)
def sinusoids(length: int, channels: int) -> torch.Tensor:
    """Positions as Whisper has them: sines, then cosines, of wavelengths from 2 pi to 10,000 times that. (length, channels)"""
    step = math.log(10_000) / (channels // 2 - 1)
    angles = torch.arange(length)[:, None] * torch.exp(-step * torch.arange(channels // 2))[None]
    return torch.cat([angles.sin(), angles.cos()], dim=1)


def register() -> None:
    """Make the class known to the Auto classes of `transformers`; no code from a model's folder is ever run."""
    AutoConfig.register(MODEL_TYPE, WhisperCTCConfig, exist_ok=True)
    AutoFeatureExtractor.register(WhisperCTCConfig, LogMelExtractor, exist_ok=True)
    AutoModelForCTC.register(WhisperCTCConfig, WhisperForCTC, exist_ok=True)


def from_whisper(whisper: Any, vocab_size: int, pad_token_id: int) -> WhisperForCTC:
    """A CTC model with the encoder of a `WhisperModel` or `WhisperForConditionalGeneration`, and a new head."""
    old = whisper.config
    config = WhisperCTCConfig(
        vocab_size=vocab_size,
        pad_token_id=pad_token_id,
        num_mel_bins=old.num_mel_bins,
        d_model=old.d_model,
        encoder_layers=old.encoder_layers,
        encoder_attention_heads=old.encoder_attention_heads,
        encoder_ffn_dim=old.encoder_ffn_dim,
        activation_function=old.activation_function,
    )
    model = WhisperForCTC(config)
    weights = {k: v for k, v in whisper.get_encoder().state_dict().items() if k != "embed_positions.weight"}
    model.encoder.load_state_dict(weights)
    return model
