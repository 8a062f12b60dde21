"""What training keeps from a model's ears."""

from __future__ import annotations

import pytest
import torch

from tasks.errors import Misconfigured
from tasks.models.whisper_ctc import WhisperCTCConfig, WhisperForCTC
from tasks.training.masks import LOWEST_HZ, WIDEST, settle_masks, silence_bands
from tasks.training.options import TrainingOptions
from tasks.training.scratch import small_model

SECOND = 16_000


def noise(clips: int) -> torch.Tensor:
    return torch.randn(clips, SECOND, generator=torch.Generator().manual_seed(1))


def silent(audio: torch.Tensor) -> torch.Tensor:
    """Which frequencies of each clip, one a Hz, have nothing left: (clips, 8001)."""
    return torch.fft.rfft(audio).abs() < 1e-2


def test_each_clip_loses_other_bands_and_nothing_else():
    torch.manual_seed(0)
    audio = noise(200)
    masked = silence_bands(audio, 1)
    gone = silent(masked)
    edges = gone.int().diff(dim=1).abs().sum(1)
    assert (edges <= 2).all(), "one band, without a hole"
    assert (edges == 2).sum() > 190
    assert len({tuple(row.nonzero().ravel().tolist()) for row in gone}) > 190
    kept = torch.fft.rfft(audio)[~gone]
    assert torch.allclose(torch.fft.rfft(masked)[~gone], kept, atol=1e-2)
    assert not gone[:, : int(LOWEST_HZ)].any()
    heard = 1 - gone.float().mean(0)
    assert heard[int(LOWEST_HZ) + 40 : 7900].max() < 1.0, "no frequency of speech is safe"


def test_a_band_is_at_most_so_wide_to_the_ear():
    torch.manual_seed(0)
    gone = silent(silence_bands(noise(200), 1))
    mel = 2595 * torch.log10(1 + torch.arange(8001) / 700)
    widths = [float(mel[row].max() - mel[row].min()) if row.any() else 0.0 for row in gone]
    most = WIDEST * float(mel[-1] - mel[int(LOWEST_HZ)])
    assert 0.8 * most < max(widths) <= most
    assert min(widths) < 0.2 * most


def test_the_same_seed_takes_the_same_and_none_takes_nothing():
    audio = noise(3)
    torch.manual_seed(7)
    first = silence_bands(audio, 2)
    torch.manual_seed(7)
    assert torch.equal(silence_bands(audio, 2), first)
    assert not torch.equal(silence_bands(audio, 2), first)
    assert torch.allclose(silence_bands(audio, 0), audio, atol=1e-5)
    assert silence_bands(audio[:, :-1], 2).shape == (3, SECOND - 1)


def test_of_whispers_encoder_they_are_those_of_the_mel_features():
    model = WhisperForCTC(
        WhisperCTCConfig(d_model=16, encoder_layers=1, encoder_attention_heads=2, encoder_ffn_dim=16)
    ).train()
    features = torch.rand(4, 50, 80) + 1.0
    settle_masks(model, TrainingOptions(mask_bands=0, mask_time=0.0), waveform=False)
    assert torch.equal(model._masked(features), features)
    settle_masks(model, TrainingOptions(mask_bands=1, mask_time=0.0), waveform=False)
    torch.manual_seed(2)
    changed = (model._masked(features) != features).any(dim=1)
    assert 0 < changed.sum() <= 4 * 20
    settle_masks(model, TrainingOptions(), waveform=False)
    assert model.config.mask_feature_masks == 1, "as the model has it"


def test_mel_features_have_no_bands_to_silence():
    with pytest.raises(Misconfigured, match="mel features") as caught:
        settle_masks(small_model(30, hidden=64, layers=1), TrainingOptions(mask_bands=1), waveform=False)
    assert "--mask-bands" in caught.value.next
