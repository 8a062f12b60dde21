"""Punctuation that a model spells out in braces, as LASR writes `{period}`: it becomes a mark at the word before it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from tasks.records import Word

SPELLED = re.compile(r"\{[^{}]*\}")
MARKS = {
    "period": ".",
    "full stop": ".",
    "comma": ",",
    "colon": ":",
    "semicolon": ";",
    "question mark": "?",
    "exclamation mark": "!",
    "exclamation point": "!",
}


def spaced(text: str) -> str:
    """The text with every spelled mark a word of its own, or several."""
    return SPELLED.sub(r" \g<0> ", text) if "{" in text else text


def with_marks(words: Sequence[Word]) -> list[Word]:
    """The words with what is in braces taken out; what it stands for is written behind the word before it.

    What stands for no mark, as `{new paragraph}` does, is not written. Words keep their own times and confidence.
    """
    out: list[Word] = []
    at = 0
    while at < len(words):
        end = _closed(words, at)
        if end is None:
            out.append(words[at])
            at += 1
            continue
        name = " ".join(word.word for word in words[at:end]).strip("{} ").lower()
        if out and name in MARKS:
            out[-1] = replace(out[-1], word=out[-1].word + MARKS[name])
        at = end
    return out


def _closed(words: Sequence[Word], at: int) -> int | None:
    """Where what begins with a brace at this word is over; None where it does not, or is not closed before the next one begins."""
    if not words[at].word.startswith("{"):
        return None
    for i in range(at, len(words)):
        if i > at and "{" in words[i].word:
            return None
        if words[i].word.endswith("}"):
            return i + 1
    return None


def is_of_mark(word: str) -> bool:
    """Whether a word is one of those that spell a mark: `{period}`, `{question` and `mark}`."""
    return word.startswith("{") or word.endswith("}")
