"""Numbers with units, letters and signs, and the ways they may be said."""

from __future__ import annotations

import pytest

from tasks.search.unit_names import UNITS, names_of, signs_of
from tasks.search.units import numbered
from tasks.text.folding import typed_parts, typed_words
from tasks.text.spoken import spoken_number


def ways(text: str, *languages: str) -> list[str]:
    """Everything that may be said for a part of the text, as one line each."""
    found = numbered(*typed_parts(text), languages or ("en",))
    return [" ".join(saying) for one in found for way in one.ways for saying in way.said]


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("16ft", ["16 feet", "sixteen feet", "16 foot", "sixteen foot", "16 ft", "sixteen f t"]),
        ("16 ft", ["sixteen feet", "16ft"]),
        ("16-foot", ["sixteen feet", "16ft"]),
        ("sixteen ft", ["feet", "foot"]),
        ("16.5ft", ["sixteen point five feet", "16.5 feet", "16.5ft"]),
        ("1,500km", ["one thousand five hundred kilometers", "fifteen hundred kilometres", "1500 km"]),
        ("10kg", ["ten kilograms", "ten kilos"]),
        ("20mph", ["twenty miles per hour", "20 miles an hour"]),
        ("20 km/h", ["twenty kilometers per hour"]),
        ("20km/h", ["twenty kilometers an hour"]),
        ("20°C", ["twenty degrees celsius", "twenty degrees"]),
        ("20℃", ["twenty degrees celsius"]),
        ("20°", ["twenty degrees"]),
        ("3pm", ["three p m", "3 pm", "three in the afternoon"]),
        ("3:30pm", ["three thirty p m", "3 30 pm"]),
        ("80%", ["eighty percent", "80 per cent"]),
        ("80 %", ["eighty percent"]),
        ("$5", ["five dollars", "5 dollar"]),
        ("5€", ["five euros"]),
        ("$5m", ["five million dollars"]),
        ("5bn", ["five billion"]),
        ("2nd", ["second"]),
        ("21st", ["twenty first"]),
        ("1990s", ["nineteen nineties"]),
        ("90s", ["nineties", "ninety seconds"]),
        ("1900s", ["nineteen hundreds"]),
        ("2000s", ["two thousands"]),
        ("sixteen feet", ["16ft", "16 ft", "sixteen foot", "16"]),
        ("nineteen eighty four", ["1984"]),
        ("the twenty first of", ["21st"]),
        ("the nineteen nineties", ["1990s"]),
        ("2fa", ["2 fa", "two f a"]),
        ("mp3", ["mp three", "m p three"]),
        ("covid19", ["covid nineteen", "covid one nine"]),
        ("b2b", ["b two b"]),
        ("4x4", ["four by four"]),
        ("R&D", ["r and d"]),
        ("example.com", ["example dot com"]),
    ],
)
def test_a_number_with_letters_or_signs_is_all_that_is_said_for_it(typed, said):
    assert set(said) <= set(ways(typed)), ways(typed)


@pytest.mark.parametrize(
    "typed", ["sixteens", "16", "16 17", "feet", "in the end", "a. b.", "16ft*", "½", "U S A", "a1" * 20]
)
def test_what_has_no_unit_is_left_to_others(typed):
    assert ways(typed) == []


def test_each_language_says_its_own_numbers_with_its_own_units():
    german = ways("20km", "de-AT")
    assert "zwanzig kilometer" in german
    assert not any("twenty" in way or "kilometers" in way for way in german)
    both = ways("20km", "de", "en")
    assert {"zwanzig kilometer", "twenty kilometers"} <= set(both)
    assert "zwanzig kilometers" not in both
    assert "vingt pour cent" in ways("20%", "fr")
    assert "vigesimo primero" in ways("21o", "es")
    assert ways("20km", "xx") == ["20 km", "20 k m"]


@pytest.mark.parametrize("language", UNITS)
def test_the_tables_are_whole(language):
    for sign, meanings in signs_of((language,)).items():
        assert all(name and typed_words(" ".join(name)) == list(name) for meaning in meanings for _, name in meaning), (
            sign
        )
        assert (sign,) in names_of((language,))


def test_the_parts_of_a_typed_text_are_its_words_and_what_stands_between():
    assert typed_parts("It's $5.50, «R&D» elec*!") == (
        ["it's", "5.50", "r", "d", "elec*"], ["", " $", ", «", "&", "» ", "!"],
    )  # fmt: skip
    assert typed_parts("") == ([], [""])


def test_an_ordinal_is_read_in_the_languages_that_have_one():
    assert [spoken_number("21", code, ordinal=True) for code in ("en", "fr", "xx")] == [
        "twenty first",
        "vingt et unième",
        " ",
    ]
