"""How words are compared: case, accents and punctuation around them count for nothing."""

from __future__ import annotations

import string
import unicodedata

FOLDING_VERSION = 1
EDGES = string.punctuation + "“”„‟‘’‚«»‹›…–—¿¡。、，！？؟،؛।"


def fold(text: str) -> str:
    """Lower case without accents, with one kind of apostrophe and of sigma.

    Marks that are letters of their own, like the vowels of Hindi, Tamil or Thai, stay: without them words would be others.
    """
    if text.isascii():
        return text.lower()
    bare = "".join(c for c in unicodedata.normalize("NFD", text) if not _accent(c))
    return unicodedata.normalize("NFC", bare).lower().translate(_SAME)


_SAME = str.maketrans({"\u2019": "'", "\u02bc": "'", "ς": "σ"})


def _accent(char: str) -> bool:
    """Accents and points of Latin, Greek, Cyrillic, Hebrew and Arabic, by their combining classes in Unicode."""
    kind = unicodedata.combining(char)
    return 10 <= kind <= 36 or 200 <= kind <= 240


def fold_word(word: str) -> str:
    """A said word as search compares it: folded, without punctuation at its ends (some models write it)."""
    folded = fold(word)
    return folded.strip(EDGES) or folded or word


def title_words(title: str) -> str:
    """The words of a title as search compares them, one space between."""
    return " ".join(fold_word(word) for word in title.split())
