"""Brightness: how bright each frame is. It needs the pictures and no sound."""

from __future__ import annotations

from example.brightness.options import BrightnessOptions, options
from tasks.stages.base import Runner, Stage, Table


def load(options: BrightnessOptions, device: str) -> Runner:
    from example.brightness.runner import BrightnessRunner

    return BrightnessRunner()


BRIGHTNESS = Stage(
    name="brightness",
    about="How bright each frame is.",
    needs=("pictures",),
    options=options,
    load=load,
    unit="pictures",
    tables=(
        Table(
            name="brightness",
            columns={"start_ms": "BIGINT", "shot": "INTEGER", "brightness": "DOUBLE"},
            order=("start_ms",),
        ),
    ),
)
