"""Frames: what is to be seen, as vectors that texts and pictures can be compared with."""

from __future__ import annotations

from tasks.stages.base import Runner, Stage, Table
from tasks.stages.frames.options import FramesOptions, options


def load(options: FramesOptions, device: str) -> Runner:
    from tasks.stages.frames.runner import FramesRunner

    return FramesRunner.of(options, device)


FRAMES = Stage(
    name="frames",
    about="What is to be seen, as vectors that texts and pictures can be compared with.",
    needs=("pictures",),
    options=options,
    load=load,
    device="gpu",
    unit="media_s",
    tables=(
        Table(
            name="frames",
            columns={
                "start_ms": "BIGINT",
                "end_ms": "BIGINT",
                "shot": "INTEGER",
                "picture": "INTEGER",
                "vector": "BLOB",
                "scale": "FLOAT",
            },
            order=("start_ms",),
            faults={
                "has a frame that ends before it begins": "SELECT video_id, generation FROM {rows} WHERE end_ms <= start_ms",
                "has a picture without a vector": "SELECT video_id, generation FROM {rows} "
                "GROUP BY video_id, generation, picture HAVING count(vector) <> 1",
            },
        ),
    ),
)
