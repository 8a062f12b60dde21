"""Passages: what a search looks through, and answers with."""

from __future__ import annotations

from tasks.stages.base import Runner, Stage, Table
from tasks.stages.passages.options import PassagesOptions, options


def load(options: PassagesOptions, device: str) -> Runner:
    from tasks.stages.passages.runner import PassagesRunner

    return PassagesRunner()


PASSAGES = Stage(
    name="passages",
    about="Stretches of speech of 15 to 30 seconds, which a search looks through.",
    needs=("words",),
    options=options,
    load=load,
    unit="words",
    bound=True,
    together="transcript",
    tables=(
        Table(
            name="passages",
            # `text` is the passage as search compares it (tasks/text/folding.py), one space between words and one at each end;
            # `carried` likewise the words before it, from `first_carried` on; `said` is the passage as it was said, null
            # where that is `text`.
            columns={
                "passage_no": "INTEGER",
                "start_ms": "BIGINT",
                "end_ms": "BIGINT",
                "first_carried": "INTEGER",
                "first_word": "INTEGER",
                "last_word": "INTEGER",
                "text": "VARCHAR",
                "carried": "VARCHAR",
                "said": "VARCHAR",
            },
            order=("passage_no",),
            terms="text",
            read_whole=True,
            faults={
                "has passages that are not its words": "SELECT video_id, generation FROM (SELECT video_id, generation, "
                "sum(last_word - first_word + 1) AS n, max(last_word) AS last, count(DISTINCT passage_no) - count(*) AS twice "
                "FROM {rows} GROUP BY ALL) LEFT JOIN (SELECT p.video_id, p.generation, w.rows FROM every_run p JOIN every_run w "
                "ON w.stage = 'words' AND w.video_id = p.video_id AND w.generation = p.inputs['words'] "
                "WHERE p.stage = 'passages') w USING (video_id, generation) "
                "WHERE n <> coalesce(w.rows, n) OR last <> n - 1 OR twice <> 0",
            },
        ),
    ),
)
