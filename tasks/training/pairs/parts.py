"""What a folder of a model of pairs needs beside the weights, and which pairs are kept back to judge by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.evaluation.manifest import fraction


@dataclass(frozen=True)
class Processor:
    """`extractor` makes of sounds or pictures what the model takes."""

    extractor: Any
    tokenizer: Any

    def save_pretrained(self, folder: Path) -> None:
        self.extractor.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)


def kept_back(names: Sequence[str], share: float) -> set[int]:
    """The numbers of those to judge by: by the names of their files, in an order that is always the same."""
    order = sorted(range(len(names)), key=lambda n: fraction(names[n]))
    return {*order[: max(1, round(share * len(names)))]}
