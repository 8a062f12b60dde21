"""What a word is to search, and how words are compared: case, accents and punctuation around them count for nothing."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from functools import cache

FOLDING_VERSION = 2
# A number keeps its points and commas; a word keeps apostrophes and the joiners of Persian and Hindi.
_NUMBER = r"\d+(?:[.,]\d+)+(?![^\W_])"


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


def words_of(text: str) -> list[str]:
    """The words of a text, folded. Hyphens and points part words ("U.S.A." has three), but those of numbers do not."""
    return _words(prefixes=False).findall(_plain(text))


def typed_words(text: str) -> list[str]:
    """`words_of` what somebody typed; a word that was cut short keeps its `*`."""
    return _words(prefixes=True).findall(_plain(text))


def typed_parts(text: str) -> tuple[list[str], list[str]]:
    """`typed_words`, and what stands before each of them and behind the last."""
    plain = _plain(text)
    found = list(_words(prefixes=True).finditer(plain))
    edges = [0, *(edge for match in found for edge in match.span()), len(plain)]
    return [match.group() for match in found], [plain[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True)]


def fold_word(word: str) -> str:
    """A said word as search compares it; a space parts it where it is several ("well-known")."""
    if word.isascii() and word.isalnum():
        return word.lower()
    return " ".join(words_of(word)) or fold(word) or word


def spaced(words: Sequence[str]) -> str:
    """Words as a text with one space at each end: ` word ` then finds whole words without a regular expression."""
    return f" {' '.join(words)} " if words else " "


def _plain(text: str) -> str:
    # Ligatures and wide letters come along when a text is copied from a PDF; speech models write none.
    return fold(unicodedata.normalize("NFKC", text))


@cache
def _words(*, prefixes: bool) -> re.Pattern[str]:
    """Numbers and words. To Python's `\\w` the vowel signs of many scripts are no part of a word; here they are."""
    signs = "".join(re.escape(c) for c in map(chr, range(0x300, 0x10000)) if unicodedata.category(c).startswith("M"))
    letter = rf"(?:[^\W_]|[{signs}])"
    star = r"\*?" if prefixes else ""
    return re.compile(rf"{_NUMBER}{star}|[^\W_]{letter}*(?:['\u200c\u200d]{letter}+)*{star}")
