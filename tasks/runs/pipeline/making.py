"""A video of which stages are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tasks.errors import NightscribeError
from tasks.records import Outcome
from tasks.stages.base import Input


@dataclass
class Making:
    """A video of which stages are made. `there` are the sources and stages that have something, `faults` the sources that could
    not be had, `tries` how often a stage failed before, `spent` the seconds that a source took, which the first stage that needs it
    counts as its own; `outcomes` grow.
    """

    input: Input
    wanted: Sequence[str]
    there: set[str]
    faults: Mapping[str, NightscribeError] = field(default_factory=dict)
    tries: Mapping[str, int] = field(default_factory=dict)
    spent: dict[str, float] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
