"""What sounds are made vectors of, and by which model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from tasks.settings.sections import StageSettings

if TYPE_CHECKING:  # every query reads these declarations, and none of them a model
    from tasks.models.catalog import ModelRef, ModelSet
    from tasks.settings import Settings


class SoundsSettings(StageSettings):
    """Sounds."""

    section: ClassVar[str] = "sounds"

    piece_s: Annotated[
        float, Field(ge=1, description="Length of a piece of sound, where the model takes so much at once.")
    ] = 10.0
    overlap: Annotated[float, Field(ge=0, le=0.9, description="Share of a piece that the next one has as well.")] = 0.5


@dataclass(frozen=True, kw_only=True)
class SoundsOptions:
    """A dual encoder, and how a soundtrack is cut; `precision` is no part of the recipe."""

    model: ModelRef
    piece_s: float
    overlap: float
    track: int | None
    language: str | None
    channels: tuple[int, ...]
    precision: str

    def described(self) -> dict[str, Any]:
        return {
            "model": self.model.name,
            "files": self.model.files,
            "revision": self.model.revision,
            "piece_s": self.piece_s,
            "overlap": self.overlap,
            "track": self.track,
            "language": self.language,
            "channels": list(self.channels),
            "version": 1,
        }


def options(models: ModelSet, settings: Settings) -> SoundsOptions | None:
    model = models.ref("sounds")
    if model is None:
        return None
    own = settings.of(SoundsSettings)
    return SoundsOptions(
        model=model,
        piece_s=own.piece_s,
        overlap=own.overlap,
        track=settings.audio_track,
        language=models.spoken_tag,
        channels=settings.audio_channels,
        precision=settings.precision,
    )
