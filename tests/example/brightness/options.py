from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tasks.models.catalog import ModelSet
    from tasks.settings import Settings


@dataclass(frozen=True)
class BrightnessOptions:
    every_s: float
    most_a_minute: int

    def described(self) -> dict[str, Any]:
        return {"every_s": self.every_s, "most_a_minute": self.most_a_minute}


def options(models: ModelSet, settings: Settings) -> BrightnessOptions:
    return BrightnessOptions(settings.frame_every_s, settings.frames_max)
