"""What a typed text asks for: words, prefixes, synonyms, numbers as they are said, and what is nearly a word."""

from __future__ import annotations

import pytest

from tasks.errors import BadQuery
from tasks.search.query import MAX_PHRASES, make_query, query_slots, read_synonyms
from tasks.text.folding import fold_word, words_of
from tasks.text.stemming import one_typo, stem, stem_language


def ways(text: str, **options: object) -> list[list[str]]:
    return [[" ".join(saying) for saying in slot.said] for slot in query_slots(text, **options)]


def test_a_number_is_tried_as_it_is_read_aloud():
    assert ways("2024")[0][:3] == ["2024", "twenty twenty four", "two thousand and twenty four"]
    assert "two thousand twenty four" in ways("2024")[0]
    assert ways("911")[0] == ["911", "nine hundred and eleven", "nine hundred eleven", "nine one one"]
    assert "one thousand nine hundred and eighty four" in ways("1984")[0]
    assert "nineteen eighty four" in ways("1984")[0]
    assert ways("3.5")[0] == ["3.5", "3 5", "three point five"]
    assert "one thousand five hundred" in ways("1,500 people")[0]
    assert ways("7") == [["7", "seven"]]
    assert "deux mille vingt quatre" in ways("2024", languages=("fr",))[0]


def test_hyphens_and_points_part_words_in_texts_as_in_queries():
    assert ways("state-of-the-art U.S.A. foo_bar") == [
        ["state"],
        ["of"],
        ["the"],
        ["art"],
        ["u"],
        ["s"],
        ["a"],
        ["foo"],
        ["bar"],
    ]
    for said, folded in {
        "State-of-the-Art,": "state of the art", "U.S.A.": "u s a", "don\u2019t!": "don't", "1,500.": "1,500", "3.5%": "3.5",
        "covid-19": "covid 19", "¿Qué?": "que", "--": "--", "♪": "♪", "ﬁnance": "finance", "Hello": "hello",
    }.items():  # fmt: skip
        assert fold_word(said) == folded
        assert words_of(said) == (folded.split() if any(c.isalnum() for c in said) else [])


def test_what_is_no_number_is_a_word():
    assert ways("covid19 b2b 1.2.3") == [["covid19"], ["b2b"], ["1.2.3", "1 2 3"]]
    assert ways("9" * 40)[0] == ["9" * 40]


def test_a_prefix_has_two_letters_at_least_and_no_place_in_a_phrase():
    assert [(slot.said, slot.prefix) for slot in query_slots("Élec* vote")] == [
        ((("elec",),), True),
        ((("vote",),), False),
    ]
    with pytest.raises(BadQuery, match="would begin too many words"):
        query_slots("a*")
    with pytest.raises(BadQuery, match="whole words only"):
        make_query("the elec*", phrase=True)


def test_synonyms_stand_for_each_other_the_longest_first():
    synonyms = read_synonyms(["UK, United Kingdom, Britain  # and so on", "", "king, monarch", "# none"])
    assert ways("uk", synonyms=synonyms) == [["uk", "united kingdom", "britain"]]
    assert ways("the united kingdom", synonyms=synonyms) == [["the"], ["united kingdom", "uk", "britain"]]
    assert ways("united", synonyms=synonyms) == [["united"]]
    assert ways("king", synonyms=synonyms) == [["king", "monarch"]]


def test_a_phrase_is_every_way_to_say_it_in_bounds():
    synonyms = read_synonyms(["uk, united kingdom"])
    query = make_query('"the UK in 1984"', synonyms=synonyms)
    assert query.mode == "phrase"
    said = [" ".join(saying) for saying in query.phrases]
    assert said[0] == "the uk in 1984"
    assert "the united kingdom in nineteen eighty four" in said
    assert len(make_query("1984 " * 5, phrase=True).phrases) == MAX_PHRASES
    years = ("nineteen", "fourteen", "nineteen", "eighteen", "or", "nineteen", "thirty", "nine")
    assert years in make_query("1914 1918 or 1939", phrase=True, languages=("de", "en")).phrases
    assert (*years, "nineteen", "forty", "five") in make_query("1914 1918 or 1939 1945", phrase=True).phrases


@pytest.mark.parametrize("text", ['"in the end"', "“in the end”", "„in the end“"])
def test_quotation_marks_make_a_phrase(text):
    assert make_query(text).mode == "phrase"
    assert make_query("in the end").mode == "words"


def test_stems_are_those_of_the_language_and_of_folded_words():
    assert stem("elections", "en") == stem("election", "en") == "elect"
    assert stem("hauser", "de") == stem("haus", "de")
    assert [stem_language(code) for code in ("en", "en-GB", "EN_us", "zh", "", None)] == [
        "en",
        "en",
        "en",
        None,
        None,
        None,
    ]


@pytest.mark.parametrize(
    ("word", "near"),
    [("election", True), ("electoin", True), ("elction", True), ("ellection", True), ("erection", True),
     ("elections", True), ("elect", False), ("erections", False), ("λction", False)],
)  # fmt: skip
def test_one_typo_is_a_letter_more_less_other_or_exchanged(word, near):
    assert one_typo("election", word) is near
