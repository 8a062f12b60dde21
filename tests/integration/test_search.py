"""Searching a lake: what is found, where exactly, and what is not."""

from __future__ import annotations

import pytest
from conftest import retold
from finding import find, found_keys, marked, starts

from tasks.errors import BadQuery
from tasks.lake.commit import commit
from tasks.lake.views import connect
from tasks.records import Cue, Word
from tasks.search.duck import search
from tasks.search.moments import snippet_of
from tasks.search.query import MAX_WORDS, make_query, query_slots
from tasks.text.folding import fold

# -- which words --------------------------------------------------------------------------------------------------------


def test_only_whole_words_are_found(lake, say):
    say("the cathedral cat concatenates cats")
    assert starts(lake, "cat", stems=False) == [800]
    assert starts(lake, "cat", phrase=True) == [800]
    assert found_keys(lake, "concat") == []
    assert found_keys(lake, "cath", phrase=True) == []


def test_the_first_and_the_last_word_are_found(lake, say):
    say("alpha beta gamma")
    assert (starts(lake, "alpha"), starts(lake, "gamma")) == ([0], [800])
    assert (starts(lake, "alpha beta", phrase=True), starts(lake, "beta gamma", phrase=True)) == ([0], [400])


def test_punctuation_around_words_does_not_matter(lake, say):
    say("Hello, my 'friend': (rates) rise! end.")
    assert starts(lake, "hello") == [0]
    assert starts(lake, "my friend rates rise", phrase=True) == [400]
    assert starts(lake, "end") == [2000]


def test_a_phrase_is_timed_as_often_as_it_is_said(lake, say):
    say("no no no rates rise rates rise and rates")
    for phrase, at in (("rates rise", [1200, 2000]), ("no no", [0, 400]), ("no", [0, 400, 800])):
        assert starts(lake, phrase, phrase=True) == at
        assert find(lake, phrase, phrase=True)["total_moments"] == 1


def test_a_text_is_kept_as_it_was_said_and_found_without_its_accents(lake, say):
    say("Le Café ouvre", "a.mp4")
    say("the shop opens", "b.mp4")
    rows = connect(lake).execute("SELECT text, folded FROM transcripts ORDER BY text").fetchall()
    assert rows == [(" Le Café ouvre ", " le cafe ouvre "), (" the shop opens ", None)]
    assert found_keys(lake, "le cafe", phrase=True) == ["a.mp4"]


@pytest.mark.parametrize("query", ["cafe", "CAFÉ", "Cafe\u0301", "café"])
def test_case_and_accents_do_not_matter_in_the_query(lake, say, query):
    say("the Café opens")
    assert starts(lake, query) == [400]
    assert starts(lake, f"the {query}", phrase=True) == [0]


@pytest.mark.parametrize(
    ("said", "query"),
    [
        ("straße", "STRAßE"),
        ("łódź", "Łodz"),
        ("việt", "viet"),
        ("λόγος", "ΛΌΓΟΣ"),
        ("ΣΟΦΟΣ", "σοφος"),
        ("हिन्दी", "हिन्दी"),
        ("한국어", "한국어"),
        ("می\u200cروم", "می\u200cروم"),
        ("كِتَاب", "كتاب"),
        ("find", "ﬁnd"),
        ("istanbul", "İstanbul"),
    ],
)
def test_words_of_other_scripts_are_found(lake, say, said, query):
    say(f"one {said} two")
    assert starts(lake, query) == [400]
    assert starts(lake, query, phrase=True) == [400]


def test_letters_that_look_like_accents_stay():
    assert [fold(word) for word in ("सेना", "सन", "நாள்", "น้ำ")] == ["सेना", "सन", "நாள்", "น้ำ"]
    assert [fold(word) for word in ("Việt", "ΣΟΦΟΣ", "σοφός", "כִּי", "كِتَاب", "Й")] == [
        "viet",
        "σοφοσ",
        "σοφοσ",
        "כי",
        "كتاب",
        "и",
    ]


@pytest.mark.parametrize("query", ["don't", "DON\u2019T", "don't!"])
def test_apostrophes_belong_to_a_word_whichever_way_they_are_typed(lake, say, query):
    say("please don't panic and don stay")
    assert starts(lake, query) == [400]
    assert starts(lake, f"please {query}", phrase=True) == [0]


def test_a_part_before_an_apostrophe_is_another_word(lake, say):
    say("please don't panic")
    assert found_keys(lake, "don") == []


def test_punctuation_of_a_query_is_passed_over(lake, say):
    say("well hello there world")
    assert starts(lake, '"hello, there?"', phrase=True) == [400]


@pytest.mark.parametrize("query", ["", "   ", "?!", "'", "___", "\u0301"])
def test_a_query_without_a_word_is_refused(query):
    with pytest.raises(BadQuery, match="There is no word in"):
        query_slots(query)


def test_a_query_of_very_many_words_is_refused():
    assert len(query_slots("word " * MAX_WORDS)) == 32
    with pytest.raises(BadQuery, match="at most 32 words; this has 33"):
        query_slots("word " * (MAX_WORDS + 1))


# -- phrases ------------------------------------------------------------------------------------------------------------


def test_a_phrase_is_found_across_the_border_of_two_cues(lake, result):
    words = (Word("interest", 0, 400, 0.5), Word("rates", 4000, 4300, 0.7), Word("rise", 4400, 4700, 0.9))
    made = result("x")
    cues = (Cue(0, 500, "interest", 0.5, 0, 0), Cue(4000, 4700, "rates rise", 0.8, 1, 2))
    commit(lake, [retold(made, words, cues)], run_id="r", device="cpu")
    answer = find(lake, "interest rates", phrase=True)
    assert answer["videos"][0]["moments"] == [
        {
            "place": "speech",
            "start_ms": 0,
            "end_ms": 4300,
            "times": [0],
            "snippet": "interest rates rise",
            "marks": [[0, 14]],
            "confidence": 0.6,
        }
    ]


def test_a_phrase_needs_its_order_and_nothing_in_between(lake, say):
    say("rates of interest and interest rates")
    assert starts(lake, "interest rates", phrase=True) == [1600]
    assert starts(lake, "rates interest", phrase=True) == []
    assert starts(lake, "rates of interest", phrase=True) == [0]


def test_repeated_words_in_a_phrase_are_counted(lake, say):
    say("no no no yes bora bora")
    assert starts(lake, "no no", phrase=True) == [0, 400]
    assert starts(lake, "no no no", phrase=True) == [0]
    assert starts(lake, "no no no no", phrase=True) == []
    assert starts(lake, "bora bora", phrase=True) == [1600]
    assert starts(lake, "no yes no", phrase=True) == []


def test_a_phrase_does_not_run_from_one_video_into_the_next(lake, say):
    say("it ends with interest", "a.mp4")
    say("rates begin the second", "b.mp4")
    assert found_keys(lake, "interest rates", phrase=True) == []


def test_a_phrase_of_one_word_is_that_word(lake, say):
    say("go went go")
    assert starts(lake, "go", phrase=True) == [0, 800]


# -- words near each other ----------------------------------------------------------------------------------------------


def test_words_are_found_within_thirty_two_words_of_each_other_wherever_passages_end(lake, say):
    for at in range(0, 60, 4):
        say(" ".join(["so"] * at + ["bank"] + ["and"] * 30 + ["crisis"] + ["then"] * 60), f"{at:02}.mp4")
    answer = find(lake, "crisis bank", limit=100, moments=100)
    assert [(v["moments_total"], v["moments"][0]["start_ms"], v["moments"][0]["end_ms"]) for v in answer["videos"]] == [
        (1, at * 400, (at + 31) * 400 + 300) for at in range(0, 60, 4)
    ]
    assert {tuple(marked(v["moments"][0])) for v in answer["videos"]} == {("bank", "crisis")}


def test_words_minutes_apart_are_no_moment(lake, say):
    say("red " + "| " * 20 + "green " + "| " * 20 + "blue")
    assert find(lake, "red blue")["total_moments"] == 0
    assert starts(lake, "blue") == [80_800]


def test_a_moment_has_all_words_of_its_passage_and_begins_with_the_first(lake, say):
    say("start tax reform and tax cuts then reform " + "| " * 20 + "tax reform")
    answer = find(lake, "tax reform")
    moments = answer["videos"][0]["moments"]
    assert [(m["start_ms"], m["end_ms"]) for m in moments] == [(400, 3100), (43_200, 43_900)]
    assert marked(moments[0]) == ["tax reform", "tax", "reform"]
    assert moments[0]["times"] == [400, 800, 1600, 2800]
    assert answer["total_moments"] == 2


def test_a_video_that_lacks_one_of_the_words_is_not_found(lake, say):
    say("tax and spend", "a.mp4")
    say("tax reform", "b.mp4")
    assert found_keys(lake, "tax reform") == ["b.mp4"]


def test_a_word_asked_for_twice_is_one_word(lake, say):
    say("tax reform tax")
    assert find(lake, "tax tax")["total_moments"] == find(lake, "tax")["total_moments"] == 1


# -- snippets -----------------------------------------------------------------------------------------------------------


def test_marks_point_at_the_words_in_the_snippet(lake, say):
    say(" ".join(f"w{n}" for n in range(20)) + " Tax reform w22 reform " + " ".join(f"w{n}" for n in range(24, 60)))
    moment = find(lake, "reform tax")["videos"][0]["moments"][0]
    assert moment["start_ms"] == 20 * 400
    assert marked(moment) == ["Tax reform", "reform"]
    assert moment["snippet"].split()[0] == "w12"
    assert moment["snippet"].split()[-1] == "w37"
    assert moment["marks"] == [[32, 42], [47, 53]]


def test_a_snippet_at_the_start_or_end_of_a_video_is_shorter(lake, say):
    say("first second")
    moments = find(lake, "second")["videos"][0]["moments"]
    assert (moments[0]["snippet"], moments[0]["marks"]) == ("first second", [[6, 12]])


def test_marks_count_characters_of_any_script():
    assert snippet_of(["日本", "ü", "go", "go"], 7, {8, 10}) == ("日本 ü go go", [[3, 4], [8, 10]])
    assert snippet_of(["a", "b", "c"], 0, {0, 1, 2}) == ("a b c", [[0, 5]])


def test_a_hit_has_the_exact_times_of_its_words(lake, result):
    words = (Word("so", 61_000, 61_120, 0.9), Word("Exactly", 61_237, 61_699, 0.87), Word("here", 61_700, 62_001, 0.93))
    cues = (Cue(61_000, 62_001, "so Exactly here", 0.9, 0, 2),)
    commit(lake, [retold(result("x"), words, cues)], run_id="r", device="cpu")
    moment = find(lake, "exactly here", phrase=True)["videos"][0]["moments"][0]
    assert moment == {
        "place": "speech",
        "start_ms": 61_237,
        "end_ms": 62_001,
        "times": [61_237],
        "snippet": "so Exactly here",
        "marks": [[3, 15]],
        "confidence": 0.9,
    }


# -- harmless -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        "'; DROP VIEW videos; --",
        '" OR 1=1 --',
        "hello'); DELETE FROM words; --",
        "$w0 $n0 ? :x %s {0} \\",
        "hello % _ * world",
        "hello\x00world",
        "hello\nworld",
    ],
)
@pytest.mark.parametrize("mode", ["words", "phrase"])
def test_quotes_and_sql_in_a_query_are_only_text(lake, say, query, mode):
    say("hello world")
    connection = connect(lake)
    answer = search(connection, make_query(query, phrase=mode == "phrase"))
    assert answer["query"] == query
    assert answer["total_videos"] == (1 if make_query(query).typed == ("hello", "world") else 0)
    assert connection.execute("SELECT count(*) FROM words").fetchone() == (2,)


def test_quotes_and_sql_in_filters_are_only_text(lake, say):
    say("hello world", topic="it's")
    evil = "x' OR '1'='1"
    assert found_keys(lake, "hello", topic=evil) == []
    assert found_keys(lake, "hello", language=evil) == []
    assert found_keys(lake, "hello", topic="it's") == ["talk.mp4"]


def test_one_connection_answers_many_queries(lake, say):
    say("alpha beta", "a.mp4")
    say("gamma delta", "b.mp4")
    connection = connect(lake)
    asked = [
        search(connection, make_query(t, phrase=phrase)) for phrase in (False, True) for t in ("beta", "gamma", "x")
    ]
    assert [[v["key"] for v in answer["videos"]] for answer in asked] == [["a.mp4"], ["b.mp4"], []] * 2
