"""Topics of a video and of its parts, by a text classifier."""

from __future__ import annotations

from tasks.stages.base import Runner, Stage, Table
from tasks.stages.topics.options import TopicsOptions, TopicsSettings, options


def load(options: TopicsOptions, device: str) -> Runner:
    from tasks.stages.topics.runner import TopicsRunner

    return TopicsRunner.of(options, device)


TOPICS = Stage(
    name="topics",
    about="What a video and each of its parts are about, by a text classifier.",
    needs=("metadata",),
    uses=("words",),
    settings=TopicsSettings,
    options=options,
    load=load,
    device="gpu",
    unit="words",
    tables=(
        Table(
            name="topics",
            columns={
                "scope": "VARCHAR",
                "start_ms": "BIGINT",
                "end_ms": "BIGINT",
                "rank": "INTEGER",
                "label": "VARCHAR",
                "score": "FLOAT",
                "model": "VARCHAR",
            },
            order=("scope", "start_ms", "rank"),
        ),
    ),
)
