"""What emissions are made with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from tasks.settings.sections import StageSettings

if TYPE_CHECKING:  # every query reads these declarations, and none of them a model
    from tasks.models.catalog import ModelRef, ModelSet
    from tasks.settings import Settings


class EmissionsSettings(StageSettings):
    """Emissions: the windows in which the acoustic model hears."""

    section: ClassVar[str] = "emissions"

    window_s: Annotated[float, Field(gt=5, description="Length of a model window.")] = 20.0
    context_s: Annotated[float, Field(ge=2, description="Context on both sides of a window that is cut away.")] = 2.0
    skip_silence: Annotated[
        bool, Field(description="Leave out long stretches that are quiet and, for certain, without speech.")
    ] = True


@dataclass(frozen=True, kw_only=True)
class EmissionsOptions:
    """`window_s` and `context_s` are the seconds that the model hears at once, and those of them that only lead in and out;
    `skip_silence` whether it hears only where somebody may speak (tasks/speech/silence.py). That is no part of the recipe, as
    precision is none: it costs no words.
    """

    model: ModelRef
    target_language: str | None
    window_s: float
    context_s: float
    skip_silence: bool
    track: int | None
    language: str | None
    channels: tuple[int, ...]

    def described(self) -> dict[str, Any]:
        described = {
            "model": self.model.name,
            "files": self.model.files,
            "revision": self.model.revision,
            "target_language": self.target_language,
            "window_s": self.window_s,
            "context_s": self.context_s,
            "normalised_over": "file, without silence",
            "track": self.track,
            "language": self.language,
            "version": 2,
        }
        # What is not given is left out, so that recipes from before there was such a thing stay as they are.
        return described | ({"channels": list(self.channels)} if self.channels else {})


def options(models: ModelSet, settings: Settings) -> EmissionsOptions:
    own = settings.of(EmissionsSettings)
    return EmissionsOptions(
        model=models.acoustic,
        target_language=models.target_language,
        window_s=own.window_s,
        context_s=own.context_s,
        skip_silence=own.skip_silence,
        track=settings.audio_track,
        language=settings.language,
        channels=settings.audio_channels,
    )
