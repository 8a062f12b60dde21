"""What the acoustic model makes of the sound. Not kept: the beam search takes it from memory."""

from __future__ import annotations

from tasks.stages.base import Stage
from tasks.stages.emissions.options import EmissionsSettings, options

EMISSIONS = Stage(
    name="emissions",
    about="The acoustic model's probabilities of letters, from which words are decoded; kept nowhere.",
    needs=("sound",),
    settings=EmissionsSettings,
    options=options,
    device="gpu",
    together="transcript",
)
