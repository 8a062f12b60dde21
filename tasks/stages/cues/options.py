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

    line_chars: Annotated[int, Field(ge=20, description="Characters in a subtitle line.")] = CueRules.line_chars
    lines: Annotated[int, Field(ge=1, le=3, description="Lines in a cue.")] = CueRules.lines
    min_ms: Annotated[int, Field(ge=0, description="Shortest cue.")] = CueRules.min_ms
    max_ms: Annotated[int, Field(ge=1000, description="Longest cue.")] = CueRules.max_ms
    gap_ms: Annotated[int, Field(ge=0, description="Gap between cues (two frames at 25 a second).")] = CueRules.gap_ms
    cps: Annotated[float, Field(gt=1, description="Characters a second where the speech allows it.")] = CueRules.cps


def options(models: ModelSet, settings: Settings) -> CueRules:
    return rules_of(settings)


def rules_of(settings: Settings) -> CueRules:
    """The limits that the settings set."""
    return CueRules(**settings.of(CuesSettings).model_dump())
