from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from tasks.settings import StageSettings

if TYPE_CHECKING:
    from tasks.models.catalog import ModelSet
    from tasks.settings import Settings


class LoudnessSettings(StageSettings):
    section: ClassVar[str] = "loudness"

    every_s: Annotated[int, Field(ge=0, description="Seconds of one level; 0 turns them off.")] = 1


@dataclass(frozen=True)
class LoudnessOptions:
    every_s: int

    def described(self) -> dict[str, Any]:
        return {"every_s": self.every_s}


def options(models: ModelSet, settings: Settings) -> LoudnessOptions | None:
    every = settings.of(LoudnessSettings).every_s
    return LoudnessOptions(every) if every else None
