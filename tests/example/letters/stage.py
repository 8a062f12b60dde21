"""Letters: how often each is said."""

from __future__ import annotations

from example.letters.options import LettersOptions, LettersSettings, options
from tasks.stages.base import Runner, Stage, Table


def load(options: LettersOptions, device: str) -> Runner:
    from example.letters.runner import LettersRunner

    return LettersRunner(options)


LETTERS = Stage(
    name="letters",
    about="How often each letter is said.",
    needs=("words",),
    settings=LettersSettings,
    options=options,
    load=load,
    unit="words",
    tables=(
        Table(
            name="letters",
            columns={"letter": "VARCHAR", "n": "BIGINT"},
            order=("letter",),
            faults={
                "has a letter twice": "SELECT video_id, generation FROM {rows} GROUP BY video_id, generation, letter HAVING count(*) > 1"
            },
        ),
    ),
)
