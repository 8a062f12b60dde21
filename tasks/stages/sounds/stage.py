"""Sounds: what is to be heard, as vectors that texts and other sounds can be compared with."""

from __future__ import annotations

from tasks.stages.base import Runner, Stage, Table
from tasks.stages.sounds.options import SoundsOptions, SoundsSettings, options


def load(options: SoundsOptions, device: str) -> Runner:
    from tasks.stages.sounds.runner import SoundsRunner

    return SoundsRunner.of(options, device)


SOUNDS = Stage(
    name="sounds",
    about="What is to be heard, as vectors that texts and other sounds can be compared with.",
    needs=("soundtrack",),
    settings=SoundsSettings,
    options=options,
    load=load,
    device="gpu",
    unit="media_s",
    tables=(
        Table(
            name="sounds",
            columns={
                "piece": "INTEGER",
                "start_ms": "BIGINT",
                "end_ms": "BIGINT",
                "vector": "BLOB",
                "scale": "FLOAT",
            },
            order=("start_ms",),
            faults={
                "has a sound that ends before it begins": "SELECT video_id, generation FROM {rows} WHERE end_ms <= start_ms",
                "has a sound without a vector": "SELECT video_id, generation FROM {rows} WHERE vector IS NULL",
            },
        ),
    ),
)
