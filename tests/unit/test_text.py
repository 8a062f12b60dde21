"""Text in a model's alphabet, and numbers as they are read aloud."""

from __future__ import annotations

import pytest

from tasks.text.spoken import spoken_number, to_alphabet

LOWER = "abcdefghijklmnopqrstuvwxyz'"
UPPER = LOWER.upper()


def words(text: str, alphabet: str = LOWER, language: str = "en") -> str:
    return to_alphabet(text, alphabet, language=language)[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Hello, World!", "hello world"),
        ("", ""),
        ("  \n\t ", ""),
        ("one—two…three/four", "one two three four"),
        ("e-mail", "e mail"),
        ("Don’t ‘quote’ `me`", "don't quote me"),
        ("rock ' n ' roll", "rock n roll"),
        ("'' ''", ""),
        ("Café naïve ÅNGSTRÖM", "cafe naive angstrom"),
        ("cafe\u0301s", "cafes"),
        ("ﬁne", "fine"),
        ("H₂O is 2x", "h o is two x"),
        ("In 1984, 42 people", "in nineteen eighty four forty two people"),
        ("a\u00a0b\u200bc", "a b c"),
    ],
)
def test_text_becomes_words_of_the_alphabet(text: str, said: str):
    assert words(text) == said


def test_letters_follow_the_case_of_the_alphabet():
    assert words("It’s 3 o'clock", UPPER) == "IT'S THREE O'CLOCK"


def test_an_alphabet_with_accents_keeps_them():
    assert words("Éa été", "aeté") == "éa été"


def test_an_alphabet_without_apostrophes_parts_words_at_them():
    assert words("don't", "abcdefghijklmnopqrstuvwxyz") == "don t"


def test_an_alphabet_with_digits_keeps_numbers():
    assert words("take 42", LOWER + "0123456789") == "take 42"


def test_letters_that_had_to_go_are_counted_and_punctuation_is_not():
    said, foreign = to_alphabet("日本 日 hello (ß)!", LOWER)
    assert said == "hello"
    assert dict(foreign) == {"日": 2, "本": 1, "ß": 1}


def test_no_text_leaves_the_alphabet_whatever_it_holds():
    text = "".join(chr(code) for code in range(0x20, 0x2FFF))
    assert set(words(text)) <= set(LOWER + " ")


@pytest.mark.parametrize(
    ("digits", "said"),
    [
        ("0", "zero"),
        ("007", "seven"),
        ("42", "forty two"),
        ("101", "one hundred and one"),
        ("1,000", "one thousand"),
        ("1000", "one thousand"),
        ("3.5", "three point five"),
        ("1984", "nineteen eighty four"),
        ("1900", "nineteen hundred"),
        ("2024", "twenty twenty four"),
        ("1,984", "one thousand nine hundred and eighty four"),
        ("2000", "two thousand"),
        ("2005", "two thousand and five"),
        ("2100", "two thousand one hundred"),
        ("1000000", "one million"),
    ],
)
def test_numbers_are_read_as_people_read_them(digits: str, said: str):
    assert spoken_number(digits) == said


def test_numbers_are_read_in_the_language_that_was_asked_for():
    assert [spoken_number("21", "fr"), spoken_number("42", "de")] == ["vingt et un", "zweiundvierzig"]


@pytest.mark.parametrize("digits", ["1.2.3", "31.12.2024", "9" * 5000, "9" * 400 + ".5"])
def test_what_cannot_be_read_parts_words_and_raises_nothing(digits: str):
    assert spoken_number(digits) == " "


def test_a_language_that_nobody_can_count_in_is_no_error():
    assert spoken_number("42", "xx") == " "


@pytest.mark.parametrize(("digits", "language"), [("1" + "0" * 70, "pl"), ("1984", "vi"), ("1" + "0" * 70, "ru")])
def test_languages_with_gaps_in_their_numbers_are_no_error(digits: str, language: str):
    # num2words raises KeyError and AttributeError here, not what it documents.
    assert spoken_number(digits, language) == " "
