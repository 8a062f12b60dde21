"""Subtitles: words cut into cues that a person can read."""

from __future__ import annotations

from tasks.stages.base import Runner, Stage, Table
from tasks.stages.cues.options import CuesSettings, options
from tasks.text.cues import CueRules


def load(options: CueRules, device: str) -> Runner:
    from tasks.stages.cues.runner import CuesRunner

    return CuesRunner(options)


CUES = Stage(
    name="cues",
    about="Subtitles: the words in lines that a person can read, each shown long enough.",
    needs=("words",),
    settings=CuesSettings,
    options=options,
    load=load,
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
                "has a cue twice": "SELECT video_id, generation FROM {rows} GROUP BY video_id, generation, cue_no HAVING count(*) > 1",
                "has words outside their cue": "SELECT DISTINCT w.video_id, w.generation FROM words_and_cues_all w "
                "LEFT JOIN {rows} c USING (video_id, generation, cue_no) SEMI JOIN {rows} USING (video_id, generation) "
                "WHERE c.cue_no IS NULL OR w.start_ms < c.start_ms - 1 OR w.start_ms > c.end_ms",
            },
        ),
    ),
)
