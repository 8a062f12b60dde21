"""How words are compared: case and accents count for nothing."""

from __future__ import annotations

import unicodedata


def fold(text: str) -> str:
    """Lower case without accents, as DuckDB's `lower(strip_accents(...))` has it."""
    if text.isascii():
        return text.lower()
    bare = "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.category(c).startswith("M"))
    return unicodedata.normalize("NFC", bare).lower()
