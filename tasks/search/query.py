"""A search as both engines understand it."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import date
from typing import Literal

from tasks.errors import BadQuery
from tasks.folding import fold

MAX_WORDS = 32
NEAR_MS = 15_000


@dataclass(frozen=True)
class Query:
    """What to look for. In mode "words" all words must be said within 15 s of each other; in mode "phrase", in order."""

    text: str
    words: tuple[str, ...]
    mode: Literal["words", "phrase"] = "words"
    topic: str | None = None
    since: date | None = None
    until: date | None = None
    language: str | None = None
    min_confidence: float = 0.0
    limit: int = 10
    offset: int = 0
    moments: int = 3


def query_words(text: str) -> tuple[str, ...]:
    """The words of a query, folded: letters, digits, apostrophes, and the joiners of Persian and Hindi.

    Raises:
        BadQuery: there are none, or too many.
    """
    # Ligatures and wide letters come along when a query is copied from a PDF; speech models write none.
    folded = fold(unicodedata.normalize("NFKC", text).replace("\u2019", "'"))
    words = tuple(re.findall(r"[^\W_]+(?:['\u200c\u200d][^\W_]+)*", folded))
    if not words:
        raise BadQuery(f"There is no word in {text[:80]!r} to look for.", next='nightscribe search "two words"')
    if len(words) > MAX_WORDS:
        raise BadQuery(f"A query has at most {MAX_WORDS} words; this has {len(words)}.", next="Leave some out.")
    return words
