"""Loudness: how loud each second of the sound is. It needs the sound and no words."""

from __future__ import annotations

from example.loudness.options import LoudnessOptions, LoudnessSettings, options
from tasks.stages.base import Runner, Stage, Table


def load(options: LoudnessOptions, device: str) -> Runner:
    from example.loudness.runner import LoudnessRunner

    return LoudnessRunner(options)


LOUDNESS = Stage(
    name="loudness",
    about="How loud each second of the sound is.",
    needs=("sound",),
    settings=LoudnessSettings,
    options=options,
    load=load,
    device="gpu",  # it is not, and waits for its turn as if it were
    tables=(Table(name="levels", columns={"start_ms": "BIGINT", "level": "DOUBLE"}, order=("start_ms",)),),
)
