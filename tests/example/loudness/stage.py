"""Loudness: how loud each second of the sound is. It needs the sound and no words."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.stages.base import Runner, Stage, Table

if TYPE_CHECKING:
    from tasks.models import ModelSet
    from tasks.settings import Settings


@dataclass(frozen=True)
class LoudnessOptions:
    every_s: int

    def described(self) -> dict[str, Any]:
        return {"every_s": self.every_s}


def options(models: ModelSet, settings: Settings) -> LoudnessOptions | None:
    every = int(os.environ.get("EXAMPLE_LOUDNESS", "1"))
    return LoudnessOptions(every) if every else None


def load(options: LoudnessOptions, device: str) -> Runner:
    from example.loudness.runner import LoudnessRunner

    return LoudnessRunner(options)


LOUDNESS = Stage(
    name="loudness",
    about="How loud each second of the sound is.",
    needs=("sound",),
    options=options,
    load=load,
    device="gpu",  # it is not, and waits for its turn as if it were
    tables=(Table(name="levels", columns={"start_ms": "BIGINT", "level": "DOUBLE"}, order=("start_ms",)),),
)
