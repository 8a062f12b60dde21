"""What frames are chosen by, and what makes vectors of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # every query reads these declarations, and none of them a model
    from tasks.models.catalog import ModelRef, ModelSet
    from tasks.settings import Settings


@dataclass(frozen=True, kw_only=True)
class FramesOptions:
    """A dual encoder, and which frames there are (`frame_every_s`, `frames_max`); `precision` is no part of the recipe."""

    model: ModelRef
    every_s: float
    most_a_minute: int
    track: int | None
    language: str | None
    precision: str

    def described(self) -> dict[str, Any]:
        return {
            "model": self.model.name,
            "files": self.model.files,
            "revision": self.model.revision,
            "every_s": self.every_s,
            "most_a_minute": self.most_a_minute,
            "track": self.track,
            "language": self.language,
            "version": 2,
        }


def options(models: ModelSet, settings: Settings) -> FramesOptions | None:
    model = models.ref("pictures")
    if model is None:
        return None
    return FramesOptions(
        model=model,
        every_s=settings.frame_every_s,
        most_a_minute=settings.frames_max,
        track=settings.audio_track,
        language=models.spoken_tag,
        precision=settings.precision,
    )
