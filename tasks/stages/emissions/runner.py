"""The acoustic model of the emissions stage."""

from __future__ import annotations

import torch

from tasks.models.catalog import ModelRef, ModelSet
from tasks.settings import Settings
from tasks.speech.acoustic import AcousticModel, load_acoustic
from tasks.stages.emissions.options import options


def acoustic_of(models: ModelSet, settings: Settings) -> AcousticModel:
    """The acoustic model of a set, on the device and in the precision of the settings.

    Raises:
        ModelNotAvailable: see `load_acoustic`.
    """
    return _load(models.acoustic, models, settings, target_language=models.target_language)


def timing_of(models: ModelSet, settings: Settings) -> AcousticModel | None:
    """The model by which a set times words, loaded alike; None where it has none.

    Raises:
        ModelNotAvailable: see `load_acoustic`.
    """
    timing = models.ref("timing")
    return _load(timing, models, settings, target_language=None) if timing else None


def _load(model: ModelRef, models: ModelSet, settings: Settings, *, target_language: str | None) -> AcousticModel:
    if settings.torch_threads:
        torch.set_num_threads(settings.torch_threads)
    chosen = options(models, settings)
    return load_acoustic(
        model.path,
        revision=model.revision,
        device=settings.device,
        precision=settings.precision,
        window_s=chosen.window_s,
        context_s=chosen.context_s,
        batch=settings.model_batch,
        target_language=target_language,
        skip_silence=chosen.skip_silence,
    )
