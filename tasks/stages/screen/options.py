"""How lines of frames become texts: nothing of it is to be set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.stages.screen_lines.options import options as of_lines

if TYPE_CHECKING:
    from tasks.models.catalog import ModelSet
    from tasks.settings import Settings


@dataclass(frozen=True, kw_only=True)
class ScreenOptions:
    """On where screen lines are."""

    def described(self) -> dict[str, Any]:
        return {"version": 1}


def options(models: ModelSet, settings: Settings) -> ScreenOptions | None:
    return ScreenOptions() if of_lines(models, settings) else None
