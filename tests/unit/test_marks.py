"""Punctuation that a model spells out in braces."""

import pytest

from tasks.records import Word
from tasks.speech.marks import spaced, with_marks


def marked(text: str) -> str:
    return " ".join(word.word for word in with_marks([Word(word, 0, 1, 1.0) for word in spaced(text).split()]))


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("no fluid {period} none {comma} really", "no fluid. none, really"),
        ("no fluid{period}{new paragraph} none", "no fluid. none"),
        ("is it {question mark}", "is it?"),
        ("{period} at once", "at once"),
        ("{never closed at all", "{never closed at all"),
        ("{perio the dog ran {comma} and sat", "{perio the dog ran, and sat"),
        ("{no such thing} here", "here"),
    ],
)
def test_spelled_punctuation_becomes_a_mark(said: str, written: str):
    assert marked(said) == written
