"""Text as speech models and language models see it: words in a fixed alphabet."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import lru_cache

_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_GROUPS = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")
_APOSTROPHES = str.maketrans({"\u2019": "'", "\u2018": "'", "\u02bc": "'", "`": "'"})


def to_alphabet(text: str, alphabet: str, *, language: str = "en") -> tuple[str, Counter[str]]:
    """`text` as words over `alphabet` (its letters, no space), and the characters that had to go.

    Letters follow the alphabet's case; accents fall off letters that it has only without them; numbers become words
    where they can; everything else separates words.
    """
    letters = frozenset(alphabet)
    text = straight_apostrophes(unicodedata.normalize("NFC", text))
    if not any(c.isdigit() for c in letters):
        text = with_spoken_numbers(text, language)
    text = text.upper() if "A" in letters and "a" not in letters else text.lower()
    foreign: Counter[str] = Counter()
    out: list[str] = []
    for char in text:
        if char in letters:
            out.append(char)
            continue
        base = "".join(c for c in unicodedata.normalize("NFKD", char) if not unicodedata.combining(c))
        if base and all(c in letters for c in base):
            out.append(base)
            continue
        if char.isalnum():
            foreign[char] += 1
        out.append(" ")
    words = (word.strip("'") if "'" in word else word for word in "".join(out).split())
    return " ".join(word for word in words if word), foreign


def straight_apostrophes(text: str) -> str:
    """The text with every kind of apostrophe as `'`."""
    return text.translate(_APOSTROPHES)


def with_spoken_numbers(text: str, language: str = "en") -> str:
    """The text with its numbers as they are read aloud."""
    return _NUMBER.sub(lambda match: f" {spoken_number(match.group(), language)} ", text)


def without_commas(digits: str) -> str:
    """A written number as computers write it: `1,500` is 1500, and `3,5`, where no group of three follows, 3.5."""
    return digits.replace(",", "") if _GROUPS.fullmatch(digits) or digits.count(",") > 1 else digits.replace(",", ".")


@lru_cache(maxsize=100_000)
def spoken_number(digits: str, language: str = "en", *, count: bool = False, ordinal: bool = False) -> str:
    """A number as it is read aloud: `42` forty two, `1984` nineteen eighty four, `3.5` three point five.

    As a `count`, `1984` is one thousand nine hundred and eighty four; as an `ordinal`, `42` is forty second.
    """
    from num2words import num2words  # 30 ms to import, and only some texts have numbers

    plain = without_commas(digits)
    try:
        value: int | float = float(plain) if "." in plain else int(plain)
        year = isinstance(value, int) and 1100 <= value <= 2099 and not count and "," not in digits and value % 1000 > 9
        to = "ordinal" if ordinal else "year" if year else "cardinal"
        return str(num2words(value, lang=language, to=to)).replace("-", " ").replace(",", "")
    except (NotImplementedError, ValueError, OverflowError, LookupError, AttributeError):  # languages differ
        return " "
