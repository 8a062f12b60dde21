"""Every stage there is, in the order of need. A new one is a folder, a line here and a line of the catalogue."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from tasks.stages.base import DECODED, SOURCES, Stage, Table
from tasks.stages.cues.stage import CUES
from tasks.stages.emissions.stage import EMISSIONS
from tasks.stages.frames.stage import FRAMES
from tasks.stages.passages.stage import PASSAGES
from tasks.stages.screen.stage import SCREEN
from tasks.stages.screen_lines.stage import SCREEN_LINES
from tasks.stages.sound_events.stage import SOUND_EVENTS
from tasks.stages.sounds.stage import SOUNDS
from tasks.stages.topics.stage import TOPICS
from tasks.stages.words.stage import WORDS


@dataclass(frozen=True)
class Registry:
    """Stages in the order of need.

    Raises:
        ValueError: one needs what is not before it (a circle, therefore), or two have the same name or table.
    """

    stages: tuple[Stage, ...]

    def __post_init__(self) -> None:
        known: set[str] = set(SOURCES)
        tables: set[str] = set()
        for stage in self.stages:
            if missing := [name for name in stage.inputs if name not in known]:
                raise ValueError(f"The stage {stage.name} needs {missing[0]}, which is not before it.")
            for name in (stage.name, *(table.name for table in stage.tables if table.name != stage.name)):
                if name in known or name in tables:
                    raise ValueError(f"There are two stages or tables {name}.")
            known.add(stage.name)
            tables |= {table.name for table in stage.tables}

    def __iter__(self) -> Iterator[Stage]:
        return iter(self.stages)

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(stage.name for stage in self.stages)

    @cached_property
    def tables(self) -> dict[str, tuple[Stage, Table]]:
        """Every table by its name, with its stage."""
        return {table.name: (stage, table) for stage in self.stages for table in stage.tables}

    def __getitem__(self, name: str) -> Stage:
        return next(stage for stage in self.stages if stage.name == name)

    def stages_before(self, stage: Stage) -> tuple[Stage, ...]:
        """The stages that its rows are made from, directly."""
        return tuple(self[name] for name in stage.inputs if name not in SOURCES)

    def keeps(self, name: str) -> bool:
        """Whether the lake has what a stage made; emissions are kept nowhere."""
        return bool(self[name].tables)

    def to_make(self, names: Sequence[str]) -> tuple[str, ...]:
        """These stages, what of those before them is kept nowhere, and all that stand on them, in the order of need."""
        found = set(names)
        for stage in reversed(self.stages):
            if stage.name in found:
                found |= {one.name for one in self.stages_before(stage) if not self.keeps(one.name)}
        return self.after(tuple(found))

    def needing(self, source: str, names: Sequence[str]) -> bool:
        """Whether any of these stages needs or uses a source."""
        return any(source in self[name].inputs for name in names)

    def read_object(self, names: Sequence[str]) -> bool:
        """Whether any of these stages needs the object, and not only what the lake has."""
        return any(self.needing(source, self.to_make(names)) for source in DECODED)

    def after(self, names: Sequence[str]) -> tuple[str, ...]:
        """These stages and all that stand on them, in the order of need."""
        found = set(names)
        for stage in self.stages:
            if found & set(stage.inputs):
                found.add(stage.name)
        return tuple(name for name in self.names if name in found)


STAGES = Registry((EMISSIONS, WORDS, CUES, PASSAGES, TOPICS, FRAMES, SOUNDS, SOUND_EVENTS, SCREEN_LINES, SCREEN))
