"""The same questions on Elasticsearch and on the lake: the same videos, moments, times and totals."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime
from typing import Any

import pytest
from conftest import retold
from search_server.engines import both, engines, index_prefix, search_client, search_server, settings, times  # noqa: F401

from tasks.errors import SearchUnavailable
from tasks.lake.commit import commit
from tasks.lake.create import create_lake
from tasks.lake.store import Lake
from tasks.records import Cue, Word
from tasks.search.answer import answer
from tasks.search.elastic.sync import sync
from tasks.search.query import make_query
from tasks.settings import Settings

FILLER = "so then we went on and said that it was all about the way they had come to see it as one more thing".split()


@pytest.fixture
def archive(say) -> None:
    rng = random.Random(3)
    talk = [rng.choice(FILLER) for _ in range(400)]
    talk[46:50] = "the bank of england".split()  # across the first border, wherever it lies near there
    talk[100:102] = ["interest", "rates"]
    talk[300] = "elections"
    say(" ".join(talk), "long.mp4", topic="Business", published_at=datetime(2024, 3, 1, tzinfo=UTC))
    say("The Café in the United Kingdom opened in nineteen eighty four", "cafe.mp4", topic="Culture",
        published_at=datetime(2023, 12, 31, 23, 59, tzinfo=UTC))  # fmt: skip
    say("an election is held and rates of interest rise in britain", "vote.mp4", topic="Politics", confidence=0.5)
    say("die Wahl in Köln war knapp und die Häuser sind alt", "koeln.mp4", language="de", published_at=None)
    say("dying is no election in the uk | no no no", "no.mp4", title="The Election, explained", topic="Politics")
    say("start " + "| " * 20 + "middle " + "| " * 20 + "end", "pauses.mp4")
    say("", "broken.mp4", status="failed", title="Budget speech (part 2)")


QUESTIONS: list[tuple[str, dict[str, Any], set[str]]] = [
    ("interest rates", {}, {"long.mp4", "vote.mp4"}),
    ("interest rates", {"phrase": True}, {"long.mp4"}),
    ("rates interest", {"phrase": True}, set()),
    ("bank of england", {"phrase": True}, {"long.mp4"}),
    ("the bank of", {"phrase": True}, {"long.mp4"}),
    ("cafe", {}, {"cafe.mp4"}),
    ("CAFÉ opened", {"phrase": False}, {"cafe.mp4"}),
    ("election", {}, {"vote.mp4", "no.mp4", "long.mp4"}),
    ("election", {"stems": False}, {"vote.mp4", "no.mp4"}),
    ("electoin", {"typos": True, "stems": False}, {"vote.mp4", "no.mp4"}),
    ("electoin", {"typos": False}, set()),
    ("electio*", {}, {"vote.mp4", "no.mp4", "long.mp4"}),
    ("1984", {}, {"cafe.mp4"}),
    ('"in 1984"', {}, {"cafe.mp4"}),
    ("uk", {}, {"cafe.mp4", "vote.mp4", "no.mp4"}),
    ("britain opened", {}, {"cafe.mp4"}),
    ("the united kingdom", {"phrase": True}, {"cafe.mp4", "no.mp4"}),
    ("haus", {"languages": ("de",)}, {"koeln.mp4"}),
    ("die", {}, {"koeln.mp4", "no.mp4"}),
    ("die", {"stems": False}, {"koeln.mp4"}),
    ("no no", {"phrase": True}, {"no.mp4"}),
    ("no no no", {"phrase": True}, {"no.mp4"}),
    ("start middle", {}, set()),
    ("election", {"topic": "politics"}, {"vote.mp4", "no.mp4"}),
    ("election", {"min_confidence": 0.8}, {"no.mp4", "long.mp4"}),
    ("in", {"language": "de"}, {"koeln.mp4"}),
    ("opened", {"until": date(2023, 12, 31)}, {"cafe.mp4"}),
    ("opened", {"since": date(2024, 1, 1)}, set()),
    ("the", {"since": date(2024, 3, 1), "until": date(2024, 3, 1)}, {"long.mp4"}),
    ("budget speech", {"status": "failed"}, {"broken.mp4"}),
    ("budget", {}, set()),
    ("cafe rain interest", {"any_word": True}, {"cafe.mp4", "long.mp4", "vote.mp4"}),
    ("middle end", {"any_word": True}, {"pauses.mp4"}),
    ("in election", {"video": "no.mp4"}, {"no.mp4"}),
    ("zzz", {}, set()),
]


def test_both_engines_give_the_same_answers(archive, engines):
    ready = engines()
    for text, options, keys in QUESTIONS:
        if "video" in options:
            options = {**options, "video": options["video"].encode().hex()[:20].ljust(20, "0")}
        found = both(ready, text, **options)
        assert {video["key"] for video in found["videos"]} == keys, (text, options)


def test_exact_times_are_those_of_the_words(archive, engines):
    ready = engines()
    assert times(both(ready, "interest rates", phrase=True)) == {"long.mp4": [40_000]}
    assert times(both(ready, "bank of england", phrase=True)) == {"long.mp4": [47 * 400]}
    assert times(both(ready, "elections", stems=False)) == {"long.mp4": [120_000]}
    assert times(both(ready, "no", phrase=True))["no.mp4"] == [800, 4800, 5200, 5600]


def test_any_phrase_is_found_once_wherever_it_crosses_borders(say, engines, long):
    words = [f"w{n % 97}" if n % 5 else "so" for n in range(300)]
    say(" ".join(words))
    ready = engines()
    for length in (2, 3, 8, 31, 32):
        for at in range(0, 300 - length, 11 if long else 29):
            found = both(ready, " ".join(words[at : at + length]), phrase=True)
            assert at * 400 in times(found)["talk.mp4"]
            assert found["total_moments"] == found["videos"][0]["moments_total"]


def test_random_questions_have_the_same_answers(say, engines, long):
    rng = random.Random(11)
    vocabulary = [f"{a}{b}{c}" for a in "abc" for b in ("en", "est", "elect") for c in ("", "s", "ion", "ions", "ing")]
    for number in range(12):
        length = rng.choice([1, 5, 60, 200])
        text = [rng.choice(vocabulary) if rng.random() < 0.97 else "| " * rng.choice([1, 20]) for _ in range(length)]
        say(" ".join(text), f"{number}.mp4", language=rng.choice(["en", "en", "de"]))
    ready = engines()
    some = 0
    asked = 300 if long else 40
    for _ in range(asked):
        words = [rng.choice(vocabulary) for _ in range(rng.choice([1, 1, 2, 3]))]
        if rng.random() < 0.2:
            words[-1] = words[-1][: rng.randrange(2, len(words[-1]) + 1)] + "*"
        phrase = not words[-1].endswith("*") and rng.random() < 0.3
        found = both(
            ready, " ".join(words), phrase=phrase, any_word=not phrase and rng.random() < 0.3,
            stems=rng.random() < 0.5, typos=rng.random() < 0.4,
            moments=rng.choice([1, 3, 100]), language=rng.choice([None, "de"]),
        )  # fmt: skip
        some += bool(found["total_videos"])
    assert some > asked / 2


def test_odd_languages_titles_words_and_confidences_are_the_same_to_both(say, result, lake, engines):
    say("an election is held", "eng.mp4", language="eng")
    say("several elections", "gb.mp4", language="en-GB", title="Budget\u00a0speech (ΟΔΟΣ) Don\u2019t")
    say("one election more " * 7, "en.mp4", language="EN", confidence=0.9)
    say("", "failed.mp4", status="failed", title="Budget\u00a0speech: ΟΔΟΣ")
    said = [Word(w, 400 * n, 400 * n + 300, 0.8922 + n / 10_000) for n, w in enumerate(["tax", "reform", "now"])]
    one = result("x", video_id="c" * 20, key="c.mp4")
    commit(
        lake,
        [retold(one, said, (Cue(0, 1100, "tax reform now", 0.9, 0, 2),))],
        run_id="r",
        device="",
    )
    ready = engines()
    assert {v["key"] for v in both(ready, "elections")["videos"]} == {"gb.mp4", "en.mp4"}
    assert {v["key"] for v in both(ready, "election", language="en")["videos"]} == {"gb.mp4", "en.mp4"}
    assert {v["key"] for v in both(ready, "elections", language="en_gb")["videos"]} == {"gb.mp4"}
    assert {v["key"] for v in both(ready, "budget οδος", status="failed")["videos"]} == {"failed.mp4"}
    assert {v["key"] for v in both(ready, "election", min_confidence=0.9)["videos"]} == {"eng.mp4", "gb.mp4", "en.mp4"}
    assert both(ready, "tax reform", phrase=True)["videos"][0]["moments"][0]["confidence"] > 0.892
    for engine in ready:
        assert [video["key"] for video in engine.titles("speech don't")] == ["gb.mp4"]


def test_words_with_hyphens_and_points_are_found_by_their_parts(say, engines):
    say("A state-of-the-art plan of the U.S.A. for 1,500 well-known COVID-19 cases", title="State-of-the-Union 3.5")
    ready = engines()
    assert times(both(ready, "state of the art plan", phrase=True)) == {"talk.mp4": [400]}
    assert times(both(ready, "the art", phrase=True)) == {"talk.mp4": [400]}
    assert times(both(ready, "state-of-the-art")) == {"talk.mp4": [400, 1200, 1600]}
    assert times(both(ready, "U.S.A.", phrase=True)) == {"talk.mp4": [2000]}
    assert times(both(ready, "1,500")) == {"talk.mp4": [2800]}
    assert times(both(ready, "covid")) == {"talk.mp4": [3600]}
    assert times(both(ready, "knwon cases", typos=True)) == {"talk.mp4": [3200, 4000]}
    for engine in ready:
        assert [video["key"] for video in engine.titles("the union 3.5")] == ["talk.mp4"]
        assert engine.near("knwon") == ["known"]


def test_numbers_are_found_as_they_are_said_in_the_languages_of_the_archive(say, engines):
    say("to było w dwa tysiące dwadzieścia cztery roku", "pl.mp4", language="pl")
    say("it was in twenty twenty four", "en.mp4")
    say("thirty five apples", "apples.mp4")
    say("version three point five", "version.mp4")
    ready = engines()
    for engine in ready:
        assert engine.languages == ("en", "pl")
    assert {v["key"] for v in both(ready, "2024", languages=ready[0].languages)["videos"]} == {"pl.mp4", "en.mp4"}
    assert {v["key"] for v in both(ready, "3,5")["videos"]} == {"version.mp4"}


def test_the_index_of_another_lake_is_not_asked(lake, say, settings, tmp_path):
    say("hello")
    assert sync(lake, settings).outcome == "done"
    other = Lake(str(tmp_path / "other"))
    create_lake(other)
    found = answer(settings, other, "hello")
    assert (found["engine"], found["total_videos"]) == ("duckdb", 0)
    assert found["fallback_reason"] == "the index belongs to another lake"


def test_pages_to_the_end_have_every_video_once(say, engines):
    for number in range(23):
        say("hello there " * (number % 3 + 1), f"{number:02}.mp4")
    for engine in engines():
        seen: list[str] = []
        offset: int | None = 0
        while offset is not None:
            found = engine.search(make_query("hello", limit=5, offset=offset))
            assert (found["total_videos"], found["total_moments"]) == (23, 23)
            seen += [video["key"] for video in found["videos"]]
            offset = found["next"]
        assert sorted(seen) == [f"{number:02}.mp4" for number in range(23)]
        assert engine.search(make_query("hello", offset=50))["videos"] == []


def test_titles_complete_as_typed_on_both(say, engines):
    say("x", "a.mp4", title="History of the Café", published_at=datetime(2024, 1, 1, tzinfo=UTC))
    say("x", "b.mp4", title="Historic houses", published_at=datetime(2024, 1, 2, tzinfo=UTC))
    say("", "c.mp4", title="A broken history", status="failed", published_at=None)
    for engine in engines():
        assert [video["key"] for video in engine.titles("hist")] == ["b.mp4", "a.mp4", "c.mp4"]
        assert [video["title"] for video in engine.titles("CAF of")] == ["History of the Café"]
        assert {video["key"] for video in engine.titles("history")} == {"a.mp4", "c.mp4"}
        assert engine.titles("  ") == engine.titles("zzz") == []


def test_a_title_with_the_words_comes_first_on_both(say, engines):
    say("election one two three", "said.mp4", title="Other")
    say("election one two three", "titled.mp4", title="The election")
    for engine in engines():
        assert [video["key"] for video in engine.search(make_query("election"))["videos"]] == ["titled.mp4", "said.mp4"]


def test_where_any_word_is_enough_more_of_them_come_first_on_both(say, engines):
    say("tax tax tax tax and more tax", "one.mp4")
    say("tax reform came late", "two.mp4")
    say("zebra zebra zebra zebra", "rare.mp4")
    for number in range(6):
        say("tax reform and much else that was said on that day " * 3, f"common{number}.mp4")
    for engine in engines():
        found = engine.search(make_query("tax reform zebra", any_word=True))
        keys = [video["key"] for video in found["videos"]]
        assert (set(keys[:7]), set(keys[7:])) == (
            {"two.mp4", *(f"common{n}.mp4" for n in range(6))}, {"one.mp4", "rare.mp4"}
        )  # fmt: skip


# -- what to try instead ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ["duckdb", "elasticsearch"])
def test_a_query_that_finds_nothing_says_what_would(lake, archive, settings, engine):
    assert sync(lake, settings).outcome == "done"

    def suggested(text: str, **options: Any) -> list[tuple[str, str, int]]:
        found = answer(settings, lake, text, engine=engine, **options)
        assert (found["engine"], found["total_videos"]) == (engine, 0)
        return [(one["text"], one["why"], one["total_videos"]) for one in found["suggestions"]]

    assert suggested("electoin") == [("election", "typo", 3)]
    assert suggested("rates interest", phrase=True)[0] == ("rates interest", "not as a phrase", 2)
    assert suggested("election", topic="Culture") == [("election", "without filters", 3)]
    assert suggested("election zzzz") == [("election", "fewer words", 3)]
    assert suggested("zzzz") == []
    assert answer(settings, lake, "election", engine=engine)["suggestions"] == []


# -- when Elasticsearch cannot answer -------------------------------------------------------------------------------


def test_without_an_index_the_lake_answers_and_says_so(lake, say, settings):
    say("hello")
    found = answer(settings, lake, "hello")
    assert (found["engine"], found["total_videos"], found["fallback_reason"]) == ("duckdb", 1, "there is no index yet")
    sync(lake, settings)
    found = answer(settings, lake, "hello")
    assert (found["engine"], found["total_videos"], found["fallback_reason"]) == ("elasticsearch", 1, None)
    other = settings.model_copy(update={"elasticsearch_prefix": settings.elasticsearch_prefix + "-other"})
    with pytest.raises(SearchUnavailable, match="no index yet"):
        answer(other, lake, "hello", engine="elasticsearch")


def test_where_nobody_listens_the_lake_answers_and_says_so(lake, say):
    say("hello")
    nowhere = Settings(elasticsearch_url="http://127.0.0.1:9")
    found = answer(nowhere, lake, "hello")
    assert (found["engine"], found["total_videos"]) == ("duckdb", 1)
    assert "does not answer" in found["fallback_reason"]
    with pytest.raises(SearchUnavailable):
        answer(nowhere, lake, "hello", engine="elasticsearch")
    assert answer(Settings(), lake, "hello")["fallback_reason"] is None


def test_an_index_of_another_version_is_not_asked(lake, say, settings, monkeypatch):
    say("hello")
    sync(lake, settings)
    monkeypatch.setattr("tasks.search.elastic.mapping.MAPPING_VERSION", 77)
    found = answer(settings, lake, "hello")
    assert (found["engine"], found["total_videos"]) == ("duckdb", 1)
    assert "another version" in found["fallback_reason"]
