"""Teach the convolutions of a small wav2vec2 to be a log-mel filterbank, before any word is learnt.

From random weights, and even from a bank of cosines, the convolutions need hours of transcribed speech to become
something that the layers above can use. As regression to log-mel features, without any transcript, that takes minutes:
afterwards CTC leaves its all-blank plateau in a third of the steps, and the convolutions need not be trained at all.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from tasks.arrays import Array
from tasks.machine.hardware import cpu_has_bf16
from tasks.training.augment import Augmentation, augment
from tasks.training.clips import SAMPLE_RATE, ClipStore

BINS, WINDOW, HOP, FFT = 80, 400, 160, 512
CLIP = 2 * SAMPLE_RATE
CLIPS = 12  # in a batch


def mel(hz: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """O'Shaughnessy's mel scale."""
    return np.asarray(2595 * np.log10(1 + np.asarray(hz, np.float64) / 700))


def mel_points(n: int, low_hz: float, high_hz: float) -> torch.Tensor:
    """`n` frequencies, even on the mel scale."""
    return 700 * (10 ** (torch.linspace(float(mel(low_hz)), float(mel(high_hz)), n) / 2595) - 1)


def cosine_bank(filters: int, taps: int) -> torch.Tensor:
    """Shape (filters, 1, taps): windowed cosines, four phases of each centre, unit norm; where the first layer begins.

    Rectified and added, four phases follow the envelope at any moment. After SincNet and LEAF (Ravanelli & Bengio 2018;
    Zeghidour et al. 2021). Windows are as long as the auditory filter of their centre is narrow, 10 ms at least.
    """
    centres = mel_points(filters // 4, 60, 7600)
    bandwidth = 24.7 * (4.37 * centres / 1000 + 1)  # equivalent rectangular (Glasberg & Moore 1990)
    length = (2 / bandwidth).clamp(0.010, taps / SAMPLE_RATE)
    time = (torch.arange(taps) - (taps - 1) / 2) / SAMPLE_RATE
    window = torch.cos(math.pi * time[None] / length[:, None]) ** 2 * (time[None].abs() < length[:, None] / 2)
    turns = 2 * math.pi * centres[:, None] * time[None]
    bank = torch.stack([window * torch.cos(turns + k * math.pi / 2) for k in range(4)], 1).reshape(filters, taps)
    unit: torch.Tensor = bank / bank.norm(dim=1, keepdim=True)
    return unit[:, None, :]


def log_mel(audio: torch.Tensor, frames: int, receptive: int, stride: int) -> torch.Tensor:
    """Shape (clips, frames, n * 80): for each frame the 80 log energies of the 25 ms windows at its middle, one each 10 ms.

    `audio` is (clips, samples); each channel's mean over the clip is taken away, as group norm takes it away.
    """
    windows = stride // HOP
    # stft puts a window in the middle of its FFT.
    first = receptive // 2 - (WINDOW + (windows - 1) * HOP) // 2 - (FFT - WINDOW) // 2
    padded = nn.functional.pad(audio[:, first:], (0, FFT))
    spectrum = torch.stft(padded, FFT, HOP, WINDOW, torch.hann_window(WINDOW), center=False, return_complex=True)
    bins = torch.linspace(0, SAMPLE_RATE / 2, FFT // 2 + 1)
    edges = mel_points(BINS + 2, 40, 7800)
    rising = (bins[None] - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins[None]) / (edges[2:] - edges[1:-1])[:, None]
    bank = torch.minimum(rising, falling).clamp(min=0)
    energies = torch.log(spectrum.abs().square().transpose(1, 2) @ bank.T + 1e-2)
    stacked = energies[:, : windows * frames].reshape(len(audio), frames, windows * BINS)
    return stacked - stacked.mean(1, keepdim=True)


def teach_frontend(
    model: Any, clips: ClipStore, *, steps: int, seed: int = 0, on_step: Callable[[int, float], None] = lambda *_: None
) -> float:
    """Train the convolutions of a CTC `model` and start its feature projection with what they learnt.

    Returns the share of the log-mel features' variance that they do not explain, over the last 50 steps.
    """
    base = model.base_model
    config = model.config
    extractor, projection = base.feature_extractor, base.feature_projection
    receptive, stride = 1, 1
    for kernel, step in zip(config.conv_kernel, config.conv_stride, strict=True):
        receptive, stride = receptive + (kernel - 1) * stride, stride * step
    frames = (CLIP - receptive) // stride + 1
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    head = nn.Sequential(nn.LayerNorm(config.conv_dim[-1]), nn.Linear(config.conv_dim[-1], stride // HOP * BINS))
    optimizer = torch.optim.AdamW([*extractor.parameters(), *head.parameters()], betas=(0.9, 0.98), weight_decay=0.0)
    spread: torch.Tensor | None = None
    unexplained: list[float] = []
    for number in range(steps):
        audio = torch.from_numpy(_batch(clips, rng))
        wanted = log_mel(audio, frames, receptive, stride)
        spread = wanted.std((0, 1)) + 0.1 if spread is None else spread
        wanted = wanted / spread
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * min(1.0, (number + 1) / 50) * min(1.0, 2 * (steps - number) / steps)
        with torch.autocast("cpu", torch.bfloat16, enabled=cpu_has_bf16()):
            features = extractor(audio).transpose(1, 2)
        loss = (head(features.float()) - wanted).square().mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(extractor.parameters(), 1.0)
        optimizer.step()
        unexplained.append(float(loss.detach()) / float(wanted.square().mean()))
        on_step(number + 1, unexplained[-1])
    _start_projection(projection, head)
    return float(np.mean(unexplained[-50:]))


def _batch(clips: ClipStore, rng: np.random.Generator) -> Array:
    """Shape (CLIPS, CLIP): two seconds of each, changed as in training, zero mean, unit variance, any level."""
    options = Augmentation(noise=0.3, echo=0.1)
    out: list[Array] = []
    while len(out) < CLIPS:
        audio = augment(clips.audio(int(rng.integers(len(clips)))), options, rng)
        audio = audio if len(audio) >= CLIP else np.resize(audio, CLIP)  # of short clips, again and again
        start = int(rng.integers(0, len(audio) - CLIP + 1))
        audio = audio[start : start + CLIP] + rng.standard_normal(CLIP, dtype=np.float32) * 1e-5
        scaled = (audio - audio.mean()) / np.sqrt(audio.var() + 1e-7)
        out.append(scaled * np.float32(10 ** (rng.uniform(*options.gain_db) / 20)))
    stacked: Array = np.stack(out).astype(np.float32)
    return stacked


def _start_projection(projection: Any, head: nn.Sequential) -> None:
    """The projection begins as the learnt mel values, turned into all directions of the hidden space."""
    norm, linear = head[0], head[1]
    hidden = projection.projection.out_features
    with torch.no_grad():
        values = linear.out_features
        most, least = max(hidden, values), min(hidden, values)
        turned = torch.linalg.qr(torch.randn(most, least))[0] * (hidden / values) ** 0.5
        turned = turned if hidden == most else turned.T
        projection.layer_norm.load_state_dict(norm.state_dict())
        projection.projection.weight.copy_(turned @ linear.weight)
        projection.projection.bias.copy_(turned @ linear.bias)
