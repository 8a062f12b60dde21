"""How passages are cut."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.text.folding import FOLDING_VERSION
from tasks.text.passages import PASSAGES as CUT

if TYPE_CHECKING:
    from tasks.models.catalog import ModelSet
    from tasks.settings import Settings


@dataclass(frozen=True)
class PassagesOptions:
    """How passages are cut, and by which version of the rules words are folded."""

    cut: tuple[int, ...] = CUT
    folding: int = FOLDING_VERSION

    def described(self) -> dict[str, Any]:
        return {"passages": list(self.cut), "folding": self.folding}


def options(models: ModelSet, settings: Settings) -> PassagesOptions:
    return PassagesOptions()
