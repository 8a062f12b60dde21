"""Which patches of a spectrogram are seen in training (Yeh et al. 2023, FLAP): dropped ones cost nothing."""

from __future__ import annotations

import torch

from tasks.training.sounds.options import SoundTraining


def kept(options: SoundTraining, sounds: int, moments: int, bands: int) -> torch.Tensor | None:
    """Numbers of the patches that a view of each sound has, (sounds, kept), in order; None for all of them."""
    if options.masking == "none":
        return None
    if options.masking == "1d":
        return scattered(sounds, moments * bands, options.mask)
    return crossed(sounds, moments, bands, options.mask_time, options.mask_bands)


def scattered(sounds: int, patches: int, share: float) -> torch.Tensor:
    """Numbers of the patches that stay where `share` of them go by chance ("1-D"), (sounds, kept), in order."""
    count = max(1, round(patches * (1 - share)))
    return torch.rand(sounds, patches).argsort(dim=1)[:, :count].sort(dim=1).values


def crossed(sounds: int, moments: int, bands: int, time_share: float, band_share: float) -> torch.Tensor:
    """The same where whole moments and whole bands of frequencies go ("2-D")."""
    at = scattered(sounds, moments, time_share)
    of = scattered(sounds, bands, band_share)
    return (at[:, :, None] * bands + of[:, None, :]).flatten(1)
