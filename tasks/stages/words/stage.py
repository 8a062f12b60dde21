"""Words with their times, by beam search over emissions and a language model."""

from __future__ import annotations

from tasks.stages.base import Stage, Table
from tasks.stages.words.options import WordsSettings, options

WORDS = Stage(
    name="words",
    about="Every word as it was spoken, with its time and how sure it is.",
    needs=("emissions",),
    settings=WordsSettings,
    options=options,
    unit="media_s",
    together="transcript",
    tables=(
        Table(
            name="words",
            # `folded` is a word as search compares it, in parts where it is several, and null where that is the word itself.
            columns={
                "word_no": "INTEGER",
                "word": "VARCHAR",
                "folded": "VARCHAR",
                "start_ms": "BIGINT",
                "end_ms": "BIGINT",
                "confidence": "FLOAT",
            },
            order=("word_no",),
            faults={
                "has words that do not follow each other": "SELECT video_id, generation FROM {rows} GROUP BY ALL "
                "HAVING min(word_no) <> 0 OR max(word_no) <> count(*) - 1 OR count(DISTINCT word_no) <> count(*)",
                "has words out of time": "SELECT DISTINCT video_id, generation FROM (SELECT *, lag(start_ms) OVER "
                "(PARTITION BY video_id, generation ORDER BY word_no) AS before FROM {rows}) "
                "WHERE start_ms < before OR end_ms < start_ms",
            },
        ),
    ),
)
