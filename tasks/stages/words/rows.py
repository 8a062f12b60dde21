"""Words as the rows of their table, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tasks.records import Word
from tasks.text.folding import fold_word


def word_rows(words: Sequence[Word]) -> list[dict[str, Any]]:
    """The rows of `words` of one video."""
    return [
        {
            "word_no": n,
            "word": w.word,
            "folded": None if (folded := fold_word(w.word)) == w.word else folded,
            "start_ms": w.start_ms,
            "end_ms": w.end_ms,
            "confidence": w.confidence,
        }
        for n, w in enumerate(words)
    ]


def words_of_rows(rows: Sequence[Mapping[str, Any]]) -> tuple[Word, ...]:
    """Rows in the order of `word_no` as records."""
    return tuple(Word(r["word"], r["start_ms"], r["end_ms"], r["confidence"]) for r in rows)
