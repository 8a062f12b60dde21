"""Screen lines: what is written in each frame, and where."""

from __future__ import annotations

from tasks.stages.base import Runner, Stage, Table
from tasks.stages.screen_lines.options import ScreenLinesOptions, ScreenLinesSettings, options


def load(options: ScreenLinesOptions, device: str) -> Runner:
    from tasks.stages.screen_lines.runner import ScreenLinesRunner

    return ScreenLinesRunner.of(options, device)


SCREEN_LINES = Stage(
    name="screen_lines",
    about="What is written in each frame, line by line, and where.",
    needs=("pictures",),
    settings=ScreenLinesSettings,
    options=options,
    load=load,
    unit="media_s",
    tables=(
        Table(
            name="screen_lines",
            columns={
                "start_ms": "BIGINT",
                "end_ms": "BIGINT",
                "line": "INTEGER",
                "text": "VARCHAR",
                "x": "FLOAT",
                "y": "FLOAT",
                "width": "FLOAT",
                "height": "FLOAT",
                "score": "FLOAT",
            },
            order=("start_ms", "line"),
            faults={
                "has writing that ends before it begins": "SELECT video_id, generation FROM {rows} WHERE end_ms <= start_ms"
            },
        ),
    ),
)
