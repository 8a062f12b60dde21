"""The acoustic model of the emissions stage."""

from __future__ import annotations

import torch

from tasks.models.catalog import ModelRef, ModelSet
from tasks.settings import Settings
from tasks.speech.acoustic import AcousticModel, load_acoustic
from tasks.stages.emissions.options import EmissionsSettings, options


def acoustic_of(models: ModelSet, settings: Settings) -> AcousticModel:
    """The acoustic model of a set, on the device and in the precision of the settings.

    Raises:
        ModelNotAvailable: see `load_acoustic`.
    """
    return _load(models.acoustic, models, settings, target_language=models.target_language)


def timing_of(models: ModelSet, settings: Settings) -> AcousticModel | None:
    """The model by which a set times words; None where it has none. It hears short pieces only, so that `window_s` is not for it.

    Raises:
        ModelNotAvailable: see `load_acoustic`.
    """
    timing = models.ref("timing")
    window_s = EmissionsSettings().window_s
    return _load(timing, models, settings, target_language=None, window_s=window_s) if timing else None


def _load(
    model: ModelRef, models: ModelSet, settings: Settings, *, target_language: str | None, window_s: float | None = None
) -> AcousticModel:
    if settings.torch_threads:
        torch.set_num_threads(settings.torch_threads)
    chosen = options(models, settings)
    return load_acoustic(
        model.path,
        revision=model.revision,
        device=settings.device,
        precision=settings.precision,
        window_s=window_s or chosen.window_s,
        context_s=chosen.context_s,
        batch=settings.model_batch,
        target_language=target_language,
        skip_silence=chosen.skip_silence,
    )
