"""The rules of subtitles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from tasks.settings.sections import StageSettings
from tasks.text.cues import CueRules

if TYPE_CHECKING:
    from tasks.models.catalog import ModelSet
    from tasks.settings import Settings


class CuesSettings(StageSettings):
    """Cues: the limits of a subtitle."""

    section: ClassVar[str] = "cues"

    line_chars: Annotated[int, Field(ge=20, description="Characters in a subtitle line.")] = 42
    lines: Annotated[int, Field(ge=1, le=3, description="Lines in a cue.")] = 2
    min_ms: Annotated[int, Field(ge=0, description="Shortest cue.")] = 833
    max_ms: Annotated[int, Field(ge=1000, description="Longest cue.")] = 7000
    gap_ms: Annotated[int, Field(ge=0, description="Gap between cues (two frames at 25 a second).")] = 80
    cps: Annotated[float, Field(gt=1, description="Characters a second where the speech allows it.")] = 20.0


def options(models: ModelSet, settings: Settings) -> CueRules:
    return rules_of(settings)


def rules_of(settings: Settings) -> CueRules:
    """The limits that the settings set."""
    return CueRules(**settings.of(CuesSettings).model_dump())
