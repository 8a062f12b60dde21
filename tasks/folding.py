"""How words are compared: case, accents and punctuation around them count for nothing."""

from __future__ import annotations

import string
import unicodedata

EDGES = string.punctuation + "“”„‟‘’‚«»‹›…–—¿¡。、，！？؟،؛।"


def fold(text: str) -> str:
    """Lower case without accents, as DuckDB's `lower(strip_accents(...))` has it."""
    if text.isascii():
        return text.lower()
    bare = "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.category(c).startswith("M"))
    return unicodedata.normalize("NFC", bare).lower()


def fold_word(word: str) -> str:
    """A said word as search compares it: folded, without punctuation at its ends (some models write it)."""
    folded = fold(word)
    return folded.strip(EDGES) or folded
