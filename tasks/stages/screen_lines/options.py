"""With what writing on the screen is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from tasks.settings.sections import StageSettings

if TYPE_CHECKING:  # every query reads these declarations, and none of them a model
    from tasks.models.catalog import ModelSet
    from tasks.settings import Settings


class ScreenLinesSettings(StageSettings):
    """Writing on the screen."""

    section: ClassVar[str] = "screen_lines"

    reader: Annotated[
        Literal["rapidocr"] | None,
        Field(description="What reads the frames; off without. `rapidocr` needs the extra `ocr`."),
    ] = None
    least: Annotated[float, Field(ge=0, le=1, description="Lines of which the reader is less sure are left out.")] = 0.6


@dataclass(frozen=True, kw_only=True)
class ScreenLinesOptions:
    """A reader, and which frames there are (`frame_every_s`, `frames_max`)."""

    reader: str
    least: float
    every_s: float
    most_a_minute: int
    track: int | None
    language: str | None

    def described(self) -> dict[str, Any]:
        return {
            "reader": self.reader,
            "least": self.least,
            "every_s": self.every_s,
            "most_a_minute": self.most_a_minute,
            "track": self.track,
            "language": self.language,
            "version": 1,
        }


def options(models: ModelSet, settings: Settings) -> ScreenLinesOptions | None:
    own = settings.of(ScreenLinesSettings)
    if own.reader is None:
        return None
    return ScreenLinesOptions(
        reader=own.reader,
        least=own.least,
        every_s=settings.frame_every_s,
        most_a_minute=settings.frames_max,
        track=settings.audio_track,
        language=models.spoken_tag,
    )
