"""Which sounds are looked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from tasks.settings.sections import StageSettings

if TYPE_CHECKING:  # every query reads these declarations, and none of them a model
    from tasks.models.catalog import ModelRef, ModelSet
    from tasks.settings import Settings

LABELS = (
    *("speech", "singing", "music", "applause", "laughter", "crying", "footsteps", "a crowd", "a dog barking"),
    *("birds", "wind", "rain", "thunder", "waves", "fire", "traffic", "a siren", "an engine", "an aeroplane"),
    *("a train", "a bell", "a clock", "a door", "breaking glass", "gunshots", "fireworks"),
)


class SoundEventsSettings(StageSettings):
    """Sound events."""

    section: ClassVar[str] = "sound_events"

    labels: Annotated[
        tuple[str, ...] | None,
        Field(
            min_length=2,
            description="What may be heard, two at least; one of them is the likeliest at any time. Where this is not "
            "set, the `sound_labels` of the set of models, else everyday sounds.",
        ),
    ] = None
    least: Annotated[
        float, Field(ge=0, le=1, description="How likely a label must be, beside the others, to be told.")
    ] = 0.3


@dataclass(frozen=True, kw_only=True)
class SoundEventsOptions:
    """Labels, and the model of the sounds that they are compared with."""

    model: ModelRef
    labels: tuple[str, ...]
    least: float
    precision: str

    def described(self) -> dict[str, Any]:
        return {"labels": list(self.labels), "least": self.least, "version": 1}


def options(models: ModelSet, settings: Settings) -> SoundEventsOptions | None:
    model = models.ref("sounds")
    if model is None:
        return None
    own = settings.of(SoundEventsSettings)
    return SoundEventsOptions(
        model=model,
        labels=own.labels or models.sound_labels or LABELS,
        least=own.least,
        precision=settings.precision,
    )
