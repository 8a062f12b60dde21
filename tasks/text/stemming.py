"""What is nearly the same word, of words as search compares them: the same stem, or all but one letter.

Stems are Snowball's ("elections" and "election"), a typo is a distance of one in optimal string alignment.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Any

SHORTEST_WITH_TYPO = 4  # of shorter words nearly every other one is a typo
_NAMES = {
    "ar": "arabic", "hy": "armenian", "eu": "basque", "ca": "catalan", "da": "danish", "nl": "dutch", "en": "english",
    "eo": "esperanto", "et": "estonian", "fi": "finnish", "fr": "french", "de": "german", "el": "greek", "hi": "hindi",
    "hu": "hungarian", "id": "indonesian", "ga": "irish", "it": "italian", "lt": "lithuanian", "ne": "nepali",
    "no": "norwegian", "nb": "norwegian", "nn": "norwegian", "pt": "portuguese", "ro": "romanian", "ru": "russian",
    "sr": "serbian", "es": "spanish", "sv": "swedish", "ta": "tamil", "tr": "turkish", "yi": "yiddish",
}  # fmt: skip


def language_code(language: str) -> str:
    """A language's code as codes are compared: `en-gb` of `en_GB`."""
    return language.replace("_", "-").lower()


def stem_language(language: str | None) -> str | None:
    """The two letters by which stems of a video's language are kept (`en` of `en-GB`); none without an algorithm."""
    code = language_code(language or "").split("-")[0]
    return code if code in _NAMES else None


@lru_cache(maxsize=100_000)
def stem(word: str, language: str) -> str:
    """The stem of a folded word in a language of `stem_language`.

    Stems are taken after accents are gone: a query without them then has the same stem as what was said.
    """
    stemmed = str(_stemmer(language).stemWord(word))
    return stemmed or word


@cache
def _stemmer(language: str) -> Any:
    import snowballstemmer

    return snowballstemmer.stemmer(_NAMES[language])


def forgives(typed: str) -> bool:
    """Whether a word is long enough to be forgiven a typo."""
    return len(typed) >= SHORTEST_WITH_TYPO


def one_typo(typed: str, word: str) -> bool:
    """Whether two words differ by one letter put in, left out, changed, or exchanged with its neighbour, or by none."""
    from rapidfuzz.distance import OSA

    return abs(len(typed) - len(word)) <= 1 and OSA.distance(typed, word, score_cutoff=1) <= 1
