"""Cuts passages from words, in the form that a search compares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.records import Word
from tasks.stages.base import Input, Rows
from tasks.text.folding import fold_word, spaced
from tasks.text.passages import cut_passages


@dataclass(frozen=True)
class PassagesRunner:
    def make(self, video: Input) -> Mapping[str, Rows]:
        return {"passages": passage_rows(video.words)}


def passage_rows(words: Sequence[Word]) -> list[dict[str, Any]]:
    """The rows of `passages` of one video."""
    folded = [fold_word(w.word) for w in words]
    return [
        {
            "passage_no": n,
            "start_ms": words[p.first].start_ms,
            "end_ms": max(w.end_ms for w in words[p.first : p.last + 1]),
            "first_carried": p.carried,
            "first_word": p.first,
            "last_word": p.last,
            "text": (text := spaced(folded[p.first : p.last + 1])),
            "carried": spaced(folded[p.carried : p.first]),
            "said": None if (said := spaced([w.word for w in words[p.first : p.last + 1]])) == text else said,
        }
        for n, p in enumerate(cut_passages(words))
    ]
