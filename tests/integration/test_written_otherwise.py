"""Queries that find nothing as typed, and do when their words are written together, apart or out: on both engines alike."""

from __future__ import annotations

import random
from typing import Any

import pytest
from search_server.fixtures import index_prefix, search_client, search_server  # noqa: F401

from tasks.errors import BadQuery
from tasks.lake.views import connect
from tasks.search.answer import answer
from tasks.search.duck import LakeSearcher
from tasks.search.elastic.ask import Searcher
from tasks.search.elastic.sync import sync
from tasks.search.query import Query
from tasks.settings import Settings

HERE = Settings()


@pytest.fixture
def archive(say) -> None:
    say("the old public house has white boards of sixteen feet and health care", "a.mp4", topic="Culture")
    say("send an email with the whiteboard backup to the u s a at three p m", "b.mp4")
    say("five million dollars for the mp three player of covid nineteen in the twenty first century", "c.mp4")
    say("in the nineteen nineties it's eighty percent don't ask at seven o'clock r and d two f a", "d.mp4")
    say("a 16ft boat of 5 km at 3.5 kg and twenty miles an hour or sixteen foot", "e.mp4")
    say("der Zug fährt zwanzig kilometer weit der Bundeskanzler", "f.mp4", language="de")


@pytest.fixture(params=["duckdb", "elasticsearch"])
def ask(request, lake, archive):
    """Asks one of the engines, and sees that it was the one."""
    settings = HERE
    if request.param == "elasticsearch":
        url = request.getfixturevalue("search_server").url
        settings = Settings(elasticsearch_url=url, elasticsearch_prefix=request.getfixturevalue("index_prefix"))
        assert sync(lake, settings).outcome == "done"

    connection = connect(lake, lean=True, history=False)

    def asked(text: str, **options: Any) -> dict[str, Any]:
        found = answer(settings, lake, text, engine=request.param, connection=connection, **options)
        assert found["engine"] == request.param
        assert (found["query"], found["instead"] is None) == (text, found["instead"] not in found["suggestions"])
        return found

    return asked


def shown(found: dict[str, Any]) -> tuple[str, str, dict[str, list[int]]]:
    """What was searched instead, why, and the starts of all that matched, by video."""
    times = {v["key"]: [at for moment in v["moments"] for at in moment["times"]] for v in found["videos"]}
    assert found["total_videos"] == found["instead"]["total_videos"] == len(times)
    return found["instead"]["text"], found["instead"]["why"], times


APART, TOGETHER, OUT, OTHERWISE = (f"written {how}" for how in ("apart", "together", "out", "otherwise"))
FORMS: list[tuple[str, dict[str, Any], str, str, dict[str, list[int]]]] = [
    ("publichouse", {}, "public house", APART, {"a.mp4": [800]}),
    ("PublicHouse", {"stems": False}, "public house", APART, {"a.mp4": [800]}),
    ("publichouses", {}, "public houses", APART, {"a.mp4": [800]}),
    ("theoldpublichouse", {}, "the old public house", APART, {"a.mp4": [0]}),
    ("whiteboards old", {}, "white boards old", APART, {"a.mp4": [400, 2000]}),
    ("old publichouse", {"phrase": True}, '"old public house"', APART, {"a.mp4": [400]}),
    ('"old publichouse has"', {}, '"old public house has"', APART, {"a.mp4": [400]}),
    ("publichouse healthcare", {}, "public house health care", APART, {"a.mp4": [800, 4400]}),
    ("publichouse whit*", {}, "public house whit*", APART, {"a.mp4": [800, 2000]}),
    ("usa", {}, "u s a", APART, {"b.mp4": [3600]}),
    ("publichouse usa zzz", {"any_word": True}, "public house u s a zzz", APART, {"a.mp4": [800], "b.mp4": [3600]}),
    ("e mail", {}, "email", TOGETHER, {"b.mp4": [800]}),
    ("an e-mail with", {"phrase": True}, '"an email with"', TOGETHER, {"b.mp4": [400]}),
    ("white board back up", {"topic": None, "video": "b.mp4"}, "whiteboard backup", TOGETHER, {"b.mp4": [2000, 2400]}),
    ("Bundes Kanzler", {}, "bundeskanzler", TOGETHER, {"f.mp4": [2800]}),
    ("dont ask", {}, "don't ask", OTHERWISE, {"d.mp4": [2800, 3200]}),
    ("seven o clock", {}, "seven o'clock", TOGETHER, {"d.mp4": [4000, 4400]}),
    ("oclock", {"phrase": True}, "\"o'clock\"", OTHERWISE, {"d.mp4": [4400]}),
    ("16ft has", {}, "16 feet has", OUT, {"a.mp4": [1600, 3200]}),
    ("5 million dollars mp3", {}, "5 million dollars mp 3", APART, {"c.mp4": [0, 400, 800, 2000]}),
    ("mp3player", {}, "mp 3 player", APART, {"c.mp4": [2000]}),
    ("$5m", {}, "5 million dollars", OUT, {"c.mp4": [0]}),
    ("covid19", {}, "covid 19", APART, {"c.mp4": [3600]}),
    ("21st", {}, "twenty first", OUT, {"c.mp4": [5200]}),
    ("the 1990s", {"phrase": True}, '"the nineteen nineties"', OUT, {"d.mp4": [400]}),
    ("3pm", {}, "3 p m", APART, {"b.mp4": [5200]}),
    ("3 pm", {}, "3 p m", APART, {"b.mp4": [5200]}),
    ("its 80% dont", {"phrase": True}, "\"it's 80 percent don't\"", OTHERWISE, {"d.mp4": [1600]}),
    ("R&D", {"phrase": True}, '"r and d"', OUT, {"d.mp4": [4800]}),
    ("2fa", {}, "2 f a", APART, {"d.mp4": [6000]}),
    ("20mph", {}, "20 miles an hour", OUT, {"e.mp4": [4000]}),
    ("3,5kg", {}, "3,5 kg", APART, {"e.mp4": [2800]}),
    ("5 kilometers", {}, "5 km", OTHERWISE, {"e.mp4": [1600]}),
    ("five kilometres", {}, "5 km", OTHERWISE, {"e.mp4": [1600]}),
    ("a sixteen feet boat", {"phrase": True}, '"a 16ft boat"', OTHERWISE, {"e.mp4": [0]}),
    ("20km", {}, "20 kilometer", OUT, {"f.mp4": [1200]}),
]  # fmt: skip


def test_what_finds_nothing_is_searched_as_it_is_written_otherwise(ask):
    for text, options, instead, why, times in FORMS:
        if "video" in options:
            options = {**options, "video": options["video"].encode().hex()[:20].ljust(20, "0")}
        assert shown(ask(text, moments=100, **options)) == (instead, why, times), text


def test_what_finds_something_is_asked_once_and_never_otherwise(ask, monkeypatch):
    def never(engine: object, words: object) -> set[str]:
        raise AssertionError("not asked for where something is found")

    for engine in (LakeSearcher, Searcher):
        monkeypatch.setattr(engine, "said", never)
    for text, options in (
        ("public house", {}),
        ("16ft", {}),
        ("whiteboard", {"phrase": True}),
        ("usa house", {"any_word": True}),
    ):
        found = ask(text, **options)
        assert (found["instead"], found["suggestions"], found["total_videos"]) == (None, [], 1)


def test_what_finds_nothing_either_way_is_neither_used_nor_offered(ask):
    for text in ("zzzz", "housepublic", "16kg", "thepublicwhite", "house public board", "9am", "3rd", "R&B"):
        found = ask(text, phrase=len(text.split()) > 1)
        assert (found["instead"], found["total_videos"], found["videos"]) == (None, 0, []), text
    assert ask("zzzz")["suggestions"] == ask("housepublic")["suggestions"] == []


def test_what_is_suggested_knows_the_other_ways_to_write_it(ask):
    def suggested(text: str, **options: Any) -> list[tuple[str, str, int]]:
        found = ask(text, **options)
        assert (found["instead"], found["total_videos"]) == (None, 0)
        return [(one["text"], one["why"], one["total_videos"]) for one in found["suggestions"]]

    assert suggested("publichouse zzzz") == [("public house", "fewer words", 1)]
    assert suggested("publichouse mp3") == [("mp three", "fewer words", 1), ("public house", "fewer words", 1)]
    assert suggested("publichouse helth") == [
        ("public house health", "typo", 1),
        ("health", "fewer words", 1),
        ("public house", "fewer words", 1),
    ]
    assert suggested("publichouse", topic="Sport") == [("public house", "without filters", 1)]


def test_pages_of_what_is_searched_instead_follow_each_other(lake, say):
    for number in range(5):
        say("the public house", f"{number}.mp4")
    seen: list[str] = []
    offset: int | None = 0
    while offset is not None:
        found = answer(HERE, lake, "publichouse", limit=2, offset=offset)
        assert found["instead"] == {"text": "public house", "why": APART, "total_videos": 5}
        seen += [video["key"] for video in found["videos"]]
        offset = found["next"]
    assert seen == [f"{number}.mp4" for number in range(5)]


def test_of_several_ways_the_likelier_is_searched(lake, say):
    say("the rapist and the therap ist of the man slaughter", "a.mp4")
    say("mans laughter is no laughter of a mans", "b.mp4")
    assert shown(answer(HERE, lake, "manslaughter"))[:2] == ("mans laughter", APART)
    assert shown(answer(HERE, lake, "manslaughter", video=b"a.mp4".hex()[:20].ljust(20, "0")))[0] == "man slaughter"
    say("sixteen foot sixteen feet", "c.mp4")
    text, _, times = shown(answer(HERE, lake, "16ft"))
    assert (text, times) == ("16 feet", {"c.mp4": [0, 800]})  # all ways to say a unit are meant


def test_scripts_that_join_words_without_a_space_are_taken_apart_and_put_together(lake, say):
    say("من می\u200cروم خانه", "fa.mp4", language="fa")
    say("میدان آزادی", "other.mp4", language="fa")
    for typed in ("می روم", "میروم"):
        assert shown(answer(HERE, lake, typed)) == (
            "می\u200cروم",
            TOGETHER if " " in typed else OTHERWISE,
            {"fa.mp4": [400]},
        )
    assert shown(answer(HERE, lake, "میدان\u200cآزادی")) == ("میدان ازادی", APART, {"other.mp4": [0]})


LETTERS = str.maketrans("0123456789", "klmnopqrst")
HOSTILE = [
    "a" * 10_000, "ab" * 5000, "publichouse" * 900, "1" * 10_000, "9" * 5000 + "ft", "1a" * 5000, "a'" * 3000 + "b", "'" * 500 + "a",
    " ".join(["publichouse"] * 32), " ".join(["a"] * 32), " ".join(["16ft"] * 32), " ".join(["1"] * 32), " ".join("publichouse"),
    "a.b@c&d/e+" * 6 + "f", "$€£¥%°16ft%°$", "1,2,3,4,5ft", "1:2:3:4pm", "16ft*", "publichouse*", "٣km", "½ft", "m²", "①ft",
    "\u202epublichouse", "pub\u00adlichouse", "public\u200bhouse", "🏠publichouse", "中央銀行", "x" * 59, "the" * 20, "°" * 50 + "5", "0ft",
    " ".join(f"{n:02}abcdefghijklmnopqrstuvw".translate(LETTERS) * 2 for n in range(32)),
    "'; DROP TABLE--ft", "5'11\"", "3.5.7ft", "-16ft", "1e5km", "16 ft of 16 ft of 16 ft of 16 ft", "\x0016ft",
]  # fmt: skip


def test_no_query_is_an_error_or_asks_without_end(ask, monkeypatch, long):
    words: list[int] = []
    searches: list[Query] = []
    for kind in (LakeSearcher, Searcher):
        said, search = kind.said, kind.search
        monkeypatch.setattr(kind, "said", lambda engine, some, said=said: words.append(len(some)) or said(engine, some))
        monkeypatch.setattr(
            kind, "search", lambda engine, query, search=search: searches.append(query) or search(engine, query)
        )
    for number, text in enumerate(HOSTILE if long else HOSTILE[2::3]):
        for mode in ("phrase", "any", "words")[number % 2 :]:
            if mode == "phrase" and text.endswith("*"):
                continue
            searches.clear()
            assert ask(text, phrase=mode == "phrase", any_word=mode == "any")["mode"] == mode
            assert 1 <= len(searches) <= 60, text[:50]
    assert 500 < max(words) <= 6000
    with pytest.raises(BadQuery, match="at most 32 words"):
        ask(" ".join(["publichouse"] * 100))


@pytest.mark.long
def test_random_words_glued_and_torn_are_answered_alike_by_both(lake, say, search_server, index_prefix):
    rng = random.Random(7)
    words = [f"{a}{b}" for a in ("ta", "ko", "mi") for b in ("ra", "n", "lo", "s")] + [
        "sixteen",
        "two",
        "feet",
        "don't",
    ]
    said = [[rng.choice(words) + rng.choice(["", "", "", rng.choice(words)]) for _ in range(60)] for _ in range(6)]
    for number, talk in enumerate(said):
        say(" ".join(talk), f"{number}.mp4")
    settings = Settings(elasticsearch_url=search_server.url, elasticsearch_prefix=index_prefix)
    assert sync(lake, settings).outcome == "done"
    connection, otherwise = connect(lake, lean=True, history=False), 0
    for _ in range(60):
        talk = rng.choice(said)
        at, length = rng.randrange(57), rng.choice([1, 2, 2, 3])
        text = "".join(f"{word}{rng.choice(['', '', ' ', '-'])}" for word in talk[at : at + length]).strip("- ")
        if rng.random() < 0.3:
            cut = rng.randrange(1, len(text))
            text = f"{text[:cut]} {text[cut:]}"
        text = text.replace("sixteen", "16").replace("feet", rng.choice(["ft", "foot"]))
        mode = rng.choice(["words", "phrase", "any"])
        options = {
            "phrase": mode == "phrase",
            "any_word": mode == "any",
            "stems": rng.random() < 0.7,
            "typos": rng.random() < 0.2,
            "moments": 100,
        }
        here = answer(settings, lake, text, engine="duckdb", connection=connection, **options)
        there = answer(settings, lake, text, engine="elasticsearch", **options)
        moments = [{video["key"]: video["moments"] for video in found["videos"]} for found in (here, there)]
        assert (here["instead"], here["suggestions"]) == (there["instead"], there["suggestions"]), (text, mode)
        assert moments[0] == moments[1], (text, mode)
        otherwise += here["instead"] is not None
    assert otherwise >= 10
