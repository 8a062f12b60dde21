"""How lines of frames become texts: nothing of it is to be set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.stages.screen_lines.options import options as of_lines
from tasks.text.folding import FOLDING_VERSION
from tasks.text.passages import CARRIED_WORDS

if TYPE_CHECKING:
    from tasks.models.catalog import ModelSet
    from tasks.settings import Settings


@dataclass(frozen=True, kw_only=True)
class ScreenOptions:
    """On where screen lines are."""

    def described(self) -> dict[str, Any]:
        return {"version": 2, "folding": FOLDING_VERSION, "carried": CARRIED_WORDS}


def options(models: ModelSet, settings: Settings) -> ScreenOptions | None:
    return ScreenOptions() if of_lines(models, settings) else None
