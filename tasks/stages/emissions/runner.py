"""The acoustic model of the emissions stage."""

from __future__ import annotations

import torch

from tasks.models.catalog import ModelSet
from tasks.settings import Settings
from tasks.speech.acoustic import AcousticModel, load_acoustic
from tasks.stages.emissions.options import options


def acoustic_of(models: ModelSet, settings: Settings) -> AcousticModel:
    """The acoustic model of a set, on the device and in the precision of the settings.

    Raises:
        ModelNotAvailable: see `load_acoustic`.
    """
    if settings.torch_threads:
        torch.set_num_threads(settings.torch_threads)
    chosen = options(models, settings)
    return load_acoustic(
        chosen.model.path,
        revision=chosen.model.revision,
        device=settings.device,
        precision=settings.precision,
        window_s=chosen.window_s,
        context_s=chosen.context_s,
        batch=settings.model_batch,
        target_language=chosen.target_language,
    )
