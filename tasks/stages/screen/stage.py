"""Screen: what was to be read, from when to when."""

from __future__ import annotations

from tasks.stages.base import Runner, Stage, Table
from tasks.stages.screen.options import ScreenOptions, options


def load(options: ScreenOptions, device: str) -> Runner:
    from tasks.stages.screen.runner import ScreenRunner

    return ScreenRunner()


SCREEN = Stage(
    name="screen",
    about="What was to be read on the screen, from when to when, and how much of it is also said.",
    needs=("screen_lines",),
    uses=("words",),
    options=options,
    load=load,
    unit="media_s",
    tables=(
        Table(
            name="screen",
            # `carried` is what stands with it, `terms` and `carried_terms` are both as search compares them, as in `passages`.
            columns={
                "text_no": "INTEGER",
                "start_ms": "BIGINT",
                "end_ms": "BIGINT",
                "text": "VARCHAR",
                "score": "FLOAT",
                "spoken": "FLOAT",
                "carried": "VARCHAR",
                "terms": "VARCHAR",
                "carried_terms": "VARCHAR",
            },
            order=("text_no",),
            terms="terms",
            faults={
                "has a text that ends before it begins": "SELECT video_id, generation FROM {rows} WHERE end_ms <= start_ms"
            },
        ),
    ),
)
