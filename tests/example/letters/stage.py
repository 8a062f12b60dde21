"""Letters: how often each is said."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.stages.base import Runner, Stage, Table

if TYPE_CHECKING:
    from tasks.models import ModelSet
    from tasks.settings import Settings


@dataclass(frozen=True)
class LettersOptions:
    """`most` is how many are kept."""

    most: int

    def described(self) -> dict[str, Any]:
        return {"most": self.most}


def options(models: ModelSet, settings: Settings) -> LettersOptions | None:
    most = int(os.environ.get("EXAMPLE_LETTERS", "26"))
    return LettersOptions(most) if most else None


def load(options: LettersOptions, device: str) -> Runner:
    from example.letters.runner import LettersRunner

    return LettersRunner(options)


LETTERS = Stage(
    name="letters",
    about="How often each letter is said.",
    needs=("words",),
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
