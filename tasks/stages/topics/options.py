"""What topics are found with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from tasks.settings.sections import StageSettings

if TYPE_CHECKING:  # every query reads these declarations, and none of them a model
    from tasks.models.catalog import ModelRef, ModelSet
    from tasks.settings import Settings


class TopicsSettings(StageSettings):
    """Topics."""

    section: ClassVar[str] = "topics"

    window_s: Annotated[float, Field(gt=10, description="Length of a topic window.")] = 120.0
    keep: Annotated[int, Field(ge=1, description="Labels kept for each video and window.")] = 5


@dataclass(frozen=True, kw_only=True)
class TopicsOptions:
    """A model, None for none: then a video has no topics."""

    model: ModelRef | None
    window_s: float
    keep: int

    def described(self) -> dict[str, Any]:
        return {
            "model": self.model.name if self.model else None,
            "files": self.model.files if self.model else None,
            "revision": self.model.revision if self.model else None,
            "window_s": self.window_s,
            "keep": self.keep,
            "version": 1,
        }


def options(models: ModelSet, settings: Settings) -> TopicsOptions:
    own = settings.of(TopicsSettings)
    return TopicsOptions(
        model=models.ref("topics"),
        window_s=own.window_s,
        keep=own.keep,
    )
