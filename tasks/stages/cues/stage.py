"""Subtitles: words cut into cues that a person can read."""

from __future__ import annotations

from tasks.models import ModelSet
from tasks.settings import Settings
from tasks.stages.base import Stage, Table
from tasks.subtitles import CueRules


def options(models: ModelSet, settings: Settings) -> CueRules:
    return CueRules.of(settings)


CUES = Stage(
    name="cues",
    about="Subtitles: the words in lines that a person can read, each shown long enough.",
    needs=("words",),
    options=options,
    unit="words",
    bound=True,
    together="transcript",
    tables=(
        Table(
            name="cues",
            columns={
                "cue_no": "INTEGER",
                "start_ms": "BIGINT",
                "end_ms": "BIGINT",
                "text": "VARCHAR",
                "confidence": "FLOAT",
                "first_word": "INTEGER",
                "last_word": "INTEGER",
            },
            order=("cue_no",),
            faults={
                "has a cue twice": "count(*) <> count(DISTINCT cue_no)",
                "has cues that end before they begin": "bool_or(end_ms < start_ms)",
            },
        ),
    ),
)
