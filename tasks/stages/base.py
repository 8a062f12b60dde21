"""What a stage is: one kind of knowledge about a video, what it is made from, and the tables that keep it.

Everything that goes over all stages or all their tables (the schema of the lake, scans, refreshes, recipes, reports, costs,
expiry, checks, copies, forgetting) reads these declarations, and has no list of its own.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from tasks.media.frames import Frame
    from tasks.models.catalog import ModelSet
    from tasks.records import Audio, Metadata, Word
    from tasks.settings import Settings
    from tasks.settings.sections import StageSettings

SOURCES = ("sound", "soundtrack", "pictures", "metadata")  # what a visit to a video has besides the stages
DECODED = ("sound", "soundtrack", "pictures")  # from the object
APART = (
    "soundtrack",
    "pictures",
)  # what is wrong with them is so for the stages alone that need them, and not for the words
Unit = Literal["media_s", "words", "pictures"]
Rows = Sequence[Mapping[str, Any]]


class Options(Protocol):
    """All that may change the rows of a stage."""

    def described(self) -> dict[str, Any]:
        """The JSON-able description whose hash is the recipe: the same on every machine, whatever lies where."""


@dataclass(frozen=True, kw_only=True)
class Input:
    """What a runner sees of a video: its facts, and what the stages before it made.

    `rows` are those of every table of the stages that it needs or uses, without their keys; words come as records too.
    `sound` (16 kHz), `soundtrack` (48 kHz) and `pictures` are there where the stage needs them.
    """

    video_id: str
    duration_ms: int
    language: str | None
    metadata: Metadata
    words: tuple[Word, ...] = ()
    rows: Mapping[str, Rows] = field(default_factory=dict)
    sound: Audio | None = None
    soundtrack: Audio | None = None
    pictures: tuple[Frame, ...] | None = None


class Runner(Protocol):
    """Makes the rows of a stage. It has the options and nothing else, so that a recipe tells all that changes them."""

    def make(self, video: Input) -> Mapping[str, Rows]:
        """The rows of each of its tables, without `video_id` and `generation`. A fault is this video's alone."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of a stage. Every row has `video_id` and `generation` before these columns, with DuckDB's types.

    `order` sorts the rows of one video; `terms` is the column with its words as search compares them, which the archive's vocabulary
    has. `faults` are queries that must find nothing, over the view `{rows}`: `video_id` and
    `generation` of what is wrong, by what is said of it.
    """

    name: str
    columns: Mapping[str, str]
    order: tuple[str, ...]
    terms: str | None = None
    faults: Mapping[str, str] = field(default_factory=dict)
    read_whole: bool = False  # by most searches: compressed for speed and not for space


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A declaration. `needs` are the sources and stages it cannot do without; `uses` are used where present: the topics of a
    silent film come from its title.

    The rows of a `bound` stage name rows of what it needs (a cue names words), and are shown only beside those. Stages with
    the same `together` are committed at once. `settings` is the class of its own settings; `options` returns None where the stage is off.
    `load` makes the runner, from the options and the name of a device; None for emissions and words, which pass from the model
    to the beam search piece by piece (tasks/runs/pipeline).
    """

    name: str
    about: str
    needs: tuple[str, ...]
    uses: tuple[str, ...] = ()
    tables: tuple[Table, ...] = ()
    settings: type[StageSettings] | None = None
    options: Callable[[ModelSet, Settings], Options | None]
    load: Callable[[Any, str], Runner] | None = None
    device: Literal["cpu", "gpu"] = "cpu"
    unit: Unit = "media_s"
    bound: bool = False
    together: str | None = None

    @property
    def inputs(self) -> tuple[str, ...]:
        """Sources and stages that rows are made from."""
        return (*self.needs, *self.uses)


def digest(value: Any) -> str:
    """Twelve hex digits of a JSON-able value."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def recipe_of(described: Mapping[str, Any] | None, before: tuple[str, ...]) -> str:
    """The hash of a stage: of its own options, and of the recipes it stands on (`before`)."""
    return digest([*before, described] if before else described)
