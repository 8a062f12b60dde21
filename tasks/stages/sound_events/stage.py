"""Sound events: what is to be heard, by name, from when to when."""

from __future__ import annotations

from tasks.stages.base import Runner, Stage, Table
from tasks.stages.sound_events.options import SoundEventsOptions, SoundEventsSettings, options


def load(options: SoundEventsOptions, device: str) -> Runner:
    from tasks.stages.sound_events.runner import SoundEventsRunner

    return SoundEventsRunner.of(options, device)


SOUND_EVENTS = Stage(
    name="sound_events",
    about="What is to be heard, by name: which of some labels fits, from when to when.",
    needs=("sounds",),
    settings=SoundEventsSettings,
    options=options,
    load=load,
    unit="media_s",
    tables=(
        Table(
            name="sound_events",
            columns={"label": "VARCHAR", "start_ms": "BIGINT", "end_ms": "BIGINT", "score": "FLOAT"},
            order=("start_ms",),
            faults={
                "has a sound event that ends before it begins": "SELECT video_id, generation FROM {rows} WHERE end_ms <= start_ms"
            },
        ),
    ),
)
