"""What a speech model is not given to hear in training: SpecAugment (Park et al. 2019), some of the frames, some of the bands."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from tasks.errors import Misconfigured
from tasks.models.whisper_ctc import MODEL_TYPE
from tasks.training.clips import SAMPLE_RATE
from tasks.training.frontend import mel
from tasks.training.options import TrainingOptions

LOWEST_HZ = 60.0  # below, speech has nothing that a mask could take away
WIDEST = 0.22  # of the mel scale between there and the highest frequency


def settle_masks(model: Any, options: TrainingOptions, *, waveform: bool) -> None:
    """Set the share of frames that the model masks in training, and Whisper's number of bands, as far as they are asked for.

    Raises:
        Misconfigured: it masks none, it is given mel features and not a waveform to silence bands of, or nothing would make
            two views of a clip differ.
    """
    config = model.config
    # Some have a vector for what is masked; Whisper's encoder is given the mean of the clip.
    able = getattr(config, "apply_spec_augment", False) and (
        config.model_type == MODEL_TYPE
        or any(name.endswith("masked_spec_embed") for name, _ in model.named_parameters())
    )
    if options.mask_time is not None:
        if not able:
            raise Misconfigured("This model masks no frames.", next="Leave --mask-time out.")
        config.mask_time_prob = options.mask_time
    if options.mask_bands is not None and config.model_type == MODEL_TYPE:
        config.mask_feature_masks = options.mask_bands
    elif options.mask_bands and not waveform:
        raise Misconfigured("This model is given mel features, not a waveform.", next="Leave --mask-bands out.")
    bands = getattr(config, "mask_feature_prob", 0) or getattr(config, "mask_feature_masks", 0)
    masks = able and (config.mask_time_prob > 0 or bands > 0)
    dropout = any(value for name, value in config.to_dict().items() if name.endswith(("dropout", "layerdrop")))
    if options.consistency and not masks and not dropout and not options.mask_bands:
        raise Misconfigured(
            "This model has neither masks nor dropout: two views of a clip would be the same.",
            next="Give --mask-time or --mask-bands, or leave --consistency out.",
        )


def silence_bands(audio: torch.Tensor, bands: int) -> torch.Tensor:
    """`audio`, (clips, samples) at 16 kHz, without `bands` bands of frequencies in each clip, each time others.

    A band takes up to `WIDEST` of the mel scale, narrow ones as often as wide ones. Drawn from torch's generator.
    """
    spectrum = torch.fft.rfft(audio)
    low, high = mel([LOWEST_HZ, SAMPLE_RATE / 2])
    mels = mel(np.linspace(0, SAMPLE_RATE / 2, spectrum.shape[-1]))
    height = torch.from_numpy((mels - low) / (high - low)).to(audio.device, torch.float32)
    for _ in range(bands):
        width = torch.rand(len(audio), 1) * WIDEST
        begin = torch.rand(len(audio), 1) * (1 - width)
        begin, end = begin.to(audio.device), (begin + width).to(audio.device)
        spectrum = spectrum.masked_fill((height >= begin) & (height < end), 0)
    heard: torch.Tensor = torch.fft.irfft(spectrum, audio.shape[-1])
    return heard
