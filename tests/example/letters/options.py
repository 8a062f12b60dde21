from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from tasks.settings import StageSettings

if TYPE_CHECKING:
    from tasks.models.catalog import ModelSet
    from tasks.settings import Settings


class LettersSettings(StageSettings):
    section: ClassVar[str] = "letters"

    most: Annotated[int, Field(ge=0, description="Letters kept of a video; 0 turns them off.")] = 26


@dataclass(frozen=True)
class LettersOptions:
    """`most` is how many are kept."""

    most: int

    def described(self) -> dict[str, Any]:
        return {"most": self.most}


def options(models: ModelSet, settings: Settings) -> LettersOptions | None:
    most = settings.of(LettersSettings).most
    return LettersOptions(most) if most else None
