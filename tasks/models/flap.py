"""FLAP's model of sounds and texts (Yeh et al. 2023, "FLAP: Fast language-audio pre-training"): a class of `transformers`.

A transformer over patches of the mel spectrogram (Huang et al. 2022, "Masked autoencoders that listen"), beside any encoder of texts,
both put into one space. In training, patches are dropped before the transformer, so that a view of a sound costs less by as much: by
chance ("1-D"), or whole moments and whole bands of frequencies ("2-D").
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from transformers import (
    CONFIG_MAPPING,
    AutoConfig,
    AutoFeatureExtractor,
    AutoModel,
    BatchFeature,
    PreTrainedConfig,
    PreTrainedModel,
    SequenceFeatureExtractor,
)

from tasks.arrays import Array
from tasks.models.whisper_ctc import hann, mel_filters

MODEL_TYPE = "flap"
DARKEST = 1e-8  # of a mel spectrum's power, before the logarithm


class FlapConfig(PreTrainedConfig):  # type: ignore[misc]
    """Shapes of both encoders; `text_config` is that of the class which reads texts, `frames` the longest sound in frames of 10
    ms."""

    model_type = MODEL_TYPE

    sub_configs: ClassVar[dict[str, Any]] = {"text_config": AutoConfig}

    text_config: Any = None
    num_mel_bins: int = 128
    frames: int = 1024
    patch_size: int = 16
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    dropout: float = 0.0
    projection_dim: int = 512
    logit_scale_init: float = 14.2857  # one over the temperature 0.07
    initializer_range: float = 0.02

    def __post_init__(self, **rest: Any) -> None:
        given = {} if self.text_config is None else self.text_config
        if isinstance(given, dict):
            self.text_config = CONFIG_MAPPING[given.get("model_type", "roberta")](**given)
        super().__post_init__(**rest)

    @property
    def grid(self) -> tuple[int, int]:
        """Patches of the longest sound: moments, bands."""
        return self.frames // self.patch_size, self.num_mel_bins // self.patch_size


class FlapExtractor(SequenceFeatureExtractor):  # type: ignore[misc]
    """The logarithm of a mel spectrogram, 25 ms every 10 ms, at about mean 0 and deviation 1, of `max_length_s` seconds.

    A shorter sound is repeated, a longer one is cut at its end: the same sound always gives the same features.
    """

    model_input_names: ClassVar[list[str]] = ["input_features"]

    def __init__(
        self,
        feature_size: int = 128,
        sampling_rate: int = 48_000,
        max_length_s: float = 10.24,
        mean: float = -5.0,
        deviation: float = 2.0,
        padding_value: float = 0.0,
        **rest: Any,
    ) -> None:
        self.max_length_s, self.mean, self.deviation = max_length_s, mean, deviation
        super().__init__(feature_size=feature_size, sampling_rate=sampling_rate, padding_value=padding_value, **rest)

    def __call__(
        self, raw_speech: Array | Sequence[Array], *, sampling_rate: int, return_tensors: str | None = None
    ) -> BatchFeature:
        """Mono sounds at `sampling_rate` to `input_features` (sounds, frames, bins)."""
        if sampling_rate != self.sampling_rate:
            raise ValueError(f"Sound at {sampling_rate} Hz for features at {self.sampling_rate} Hz.")
        sounds = [raw_speech] if isinstance(raw_speech, np.ndarray) and raw_speech.ndim == 1 else raw_speech
        made = np.stack([self._features(np.asarray(sound, np.float32)) for sound in sounds])
        return BatchFeature({"input_features": made}, tensor_type=return_tensors)

    def _features(self, sound: Array) -> Array:
        frames, hop, window = round(self.max_length_s * 100), self.sampling_rate // 100, self.sampling_rate // 40
        n_fft = 1 << (window - 1).bit_length()
        wave = torch.from_numpy(np.resize(sound, frames * hop))
        spectrum = torch.stft(wave, n_fft, hop, window, window=hann(window), return_complex=True)[:, :frames]
        # Squares of both parts, as `abs` takes a root that is then undone.
        power = (
            mel_filters(self.feature_size, n_fft, self.sampling_rate)
            @ (spectrum.real.square() + spectrum.imag.square())
            / window
        )
        made: Array = ((power.clamp(min=DARKEST).log10().T - self.mean) / self.deviation).contiguous().numpy()
        return made


class FlapModel(PreTrainedModel):  # type: ignore[misc]
    """Sounds (sounds, frames, bins) and texts, each to vectors (n, size)."""

    config_class = FlapConfig
    main_input_name = "input_features"
    base_model_prefix = "flap"
    _supports_sdpa = True

    def __init__(self, config: FlapConfig) -> None:
        super().__init__(config)
        self.sounds = PatchEncoder(config)
        self.texts = AutoModel.from_config(config.text_config)
        self.sound_projection = nn.Linear(config.hidden_size, config.projection_dim, bias=False)
        self.text_projection = nn.Linear(config.text_config.hidden_size, config.projection_dim, bias=False)
        self.logit_scale = nn.Parameter(torch.tensor(float(np.log(config.logit_scale_init))))
        self.post_init()

    def get_audio_features(self, input_features: torch.Tensor) -> torch.Tensor:
        """(sounds, frames, bins) to (sounds, size), not of unit length."""
        return self.pooled(self.sounds(input_features))

    def pooled(self, states: torch.Tensor) -> torch.Tensor:
        """The mean of the patches that were seen, (sounds, patches, hidden), in the space of both."""
        projected: torch.Tensor = self.sound_projection(states.mean(dim=1))
        return projected

    def get_text_features(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None, **rest: torch.Tensor
    ) -> torch.Tensor:
        """(texts, tokens) to (texts, size), not of unit length: the mean of the tokens that are there."""
        states = self.texts(input_ids=input_ids, attention_mask=attention_mask, **rest).last_hidden_state
        there = torch.ones_like(states[..., :1]) if attention_mask is None else attention_mask[..., None].to(states)
        projected: torch.Tensor = self.text_projection((states * there).sum(dim=1) / there.sum(dim=1))
        return projected

    def forward(
        self, input_features: torch.Tensor, input_ids: torch.Tensor, attention_mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Similarities times the scale that was learnt, (sounds, texts)."""
        sounds = functional.normalize(self.get_audio_features(input_features), dim=-1)
        texts = functional.normalize(self.get_text_features(input_ids, attention_mask), dim=-1)
        return self.logit_scale.exp() * sounds @ texts.T


class PatchEncoder(nn.Module):
    """A transformer over square patches of a spectrogram, moment after moment, each of them from the lowest band up."""

    def __init__(self, config: FlapConfig) -> None:
        super().__init__()
        self.size = config.patch_size
        self.embedding = nn.Linear(self.size**2, config.hidden_size)
        self.bands = config.grid[1]
        layer = nn.TransformerEncoderLayer(
            config.hidden_size,
            config.num_attention_heads,
            config.intermediate_size,
            config.dropout,
            activation="gelu",
            batch_first=True,
            norm_first=True,
        )
        norm = nn.LayerNorm(config.hidden_size)
        self.layers = nn.TransformerEncoder(layer, config.num_hidden_layers, norm, enable_nested_tensor=False)

    def patches(self, features: torch.Tensor) -> torch.Tensor:
        """(sounds, frames, bins) to (sounds, patches, size * size)."""
        sounds, frames, bins = features.shape
        size = self.size
        features = features[:, : frames // size * size]
        cut = features.reshape(sounds, -1, size, bins // size, size)
        return cut.transpose(2, 3).reshape(sounds, -1, size * size)

    def forward(self, features: torch.Tensor, seen: torch.Tensor | None = None) -> torch.Tensor:
        """States of the patches (sounds, patches, hidden); of those alone that are `seen`, (sounds, kept) numbers of them."""
        patches = self.patches(features)
        where = places(patches.shape[1] // self.bands, self.bands, self.embedding.out_features).to(features.device)
        if seen is not None:
            patches = patches.gather(1, seen[..., None].expand(-1, -1, patches.shape[-1]))
            where = where[seen]
        state = self.embedding(patches)
        states: torch.Tensor = self.layers(state + where.to(state))
        return states


@functools.lru_cache(maxsize=32)
def places(moments: int, bands: int, size: int) -> torch.Tensor:
    """Where each patch is: sines and cosines, half of the numbers for the moment and half for the band (Dosovitskiy et al. 2021
    learn them; fixed ones need no sound of full length). (moments * bands, size)"""
    quarter = size // 4
    rates = torch.exp(-np.log(10_000) * torch.arange(quarter) / quarter)

    def waves(n: int) -> torch.Tensor:
        angles = torch.arange(n)[:, None] * rates[None]
        return torch.cat([angles.sin(), angles.cos()], dim=1)

    of_moments = waves(moments)[:, None].expand(-1, bands, -1)
    of_bands = waves(bands)[None].expand(moments, -1, -1)
    made = torch.cat([of_moments, of_bands], dim=-1).reshape(moments * bands, 4 * quarter)
    return functional.pad(made, (0, size - 4 * quarter))


def register() -> None:
    """Make the class known to the Auto classes of `transformers`; no code from a model's folder is ever run."""
    AutoConfig.register(MODEL_TYPE, FlapConfig, exist_ok=True)
    AutoFeatureExtractor.register(FlapConfig, FlapExtractor, exist_ok=True)
    AutoModel.register(FlapConfig, FlapModel, exist_ok=True)
