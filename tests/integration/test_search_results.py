"""Of what is found: what filters leave, how much there is, in which order and pages, and only what is current."""

from __future__ import annotations

from datetime import UTC, date, datetime

from finding import find, found_keys, starts

from tasks.lake.commit import content_rows

# -- filters ------------------------------------------------------------------------------------------------------------


def test_topic_filters_by_the_first_topic_of_a_video(lake, say):
    say("hello world", "sport.mp4", topic="Sport")
    say("hello world", "news.mp4", topic="News")
    say("hello world", "none.mp4")
    assert found_keys(lake, "hello", topic="sport") == ["sport.mp4"]
    assert found_keys(lake, "hello", topic="weather") == []
    topics = {video["key"]: video["topics"] for video in find(lake, "hello")["videos"]}
    assert topics == {"sport.mp4": ["Sport"], "news.mp4": ["News"], "none.mp4": []}


def test_since_and_until_are_days_in_utc_and_both_count(lake, say):
    say("hello", "eve.mp4", published_at=datetime(2023, 12, 31, 23, 59, 59, tzinfo=UTC))
    say("hello", "start.mp4", published_at=datetime(2024, 1, 1, tzinfo=UTC))
    say("hello", "end.mp4", published_at=datetime(2024, 1, 31, 23, 59, 59, tzinfo=UTC))
    say("hello", "after.mp4", published_at=datetime(2024, 2, 1, tzinfo=UTC))
    say("hello", "undated.mp4", published_at=None)
    assert found_keys(lake, "hello", since=date(2024, 1, 1)) == ["after.mp4", "end.mp4", "start.mp4"]
    assert found_keys(lake, "hello", until=date(2024, 1, 31)) == ["end.mp4", "eve.mp4", "start.mp4"]
    assert found_keys(lake, "hello", since=date(2024, 1, 1), until=date(2024, 1, 31)) == ["end.mp4", "start.mp4"]
    assert len(found_keys(lake, "hello")) == 5


def test_language_and_confidence_filter_videos(lake, say):
    say("hello", "sure.mp4", confidence=0.95)
    say("hello", "unsure.mp4", confidence=0.4)
    say("hello", "german.mp4", language="de", confidence=0.95)
    assert found_keys(lake, "hello", language="de") == ["german.mp4"]
    assert found_keys(lake, "hello", min_confidence=0.9) == ["german.mp4", "sure.mp4"]
    assert found_keys(lake, "hello", language="en", min_confidence=0.9) == ["sure.mp4"]


def test_filters_hold_for_phrases_too(lake, say):
    say("hello world", "en.mp4")
    say("hello world", "de.mp4", language="de")
    assert found_keys(lake, "hello world", phrase=True, language="de") == ["de.mp4"]


# -- totals and pages ---------------------------------------------------------------------------------------------------


def test_pages_follow_each_other_without_gap_or_repeat(lake, say):
    for number in range(5):
        say("hello", f"{number}.mp4")
    pages, offset = [], 0
    while offset is not None:
        answer = find(lake, "hello", limit=2, offset=offset)
        assert (answer["total_videos"], answer["total_moments"]) == (5, 5)
        pages.append([video["key"] for video in answer["videos"]])
        offset = answer["next"]
    assert pages == [["0.mp4", "1.mp4"], ["2.mp4", "3.mp4"], ["4.mp4"]]


def test_a_full_last_page_has_no_next(lake, say):
    for number in range(4):
        say("hello", f"{number}.mp4")
    assert find(lake, "hello", limit=4)["next"] is None
    assert find(lake, "hello", limit=3)["next"] == 3


def test_a_page_behind_the_last_is_empty_and_still_knows_the_totals(lake, say):
    say("hello " + "| " * 20 + "hello")
    answer = find(lake, "hello", offset=10)
    assert (answer["videos"], answer["total_videos"], answer["total_moments"], answer["next"]) == ([], 1, 2, None)


def test_moments_shown_are_the_first_and_all_are_counted(lake, say):
    say(("go " + "| " * 20) * 5)
    video = find(lake, "go", moments=2)["videos"][0]
    assert [moment["start_ms"] for moment in video["moments"]] == [0, 40_400]
    assert video["moments_total"] == 5
    assert find(lake, "go", moments=2)["total_moments"] == 5


def test_more_moments_come_first_then_the_title_then_the_newer(lake, say):
    say("| ".join(["go " + "| " * 20] * 4), "often.mp4", title="Other")
    say("go", "old.mp4", title="Other", published_at=datetime(2020, 1, 1, tzinfo=UTC))
    say("go", "new.mp4", title="Other", published_at=datetime(2024, 1, 1, tzinfo=UTC))
    say("go", "titled.mp4", title="Gó for it", published_at=None)
    answer = find(lake, "go")
    assert [video["key"] for video in answer["videos"]] == ["titled.mp4", "often.mp4", "new.mp4", "old.mp4"]
    assert [video["score"] for video in answer["videos"]] == [1.6931, 1.6094, 0.6931, 0.6931]


def test_nothing_found_is_an_answer(lake, say):
    say("hello")
    assert find(lake, "goodbye") == {
        "query": "goodbye",
        "mode": "words",
        "engine": "duckdb",
        "fallback_reason": None,
        "total_videos": 0,
        "total_moments": 0,
        "next": None,
        "videos": [],
    }


def test_an_empty_lake_answers_too(lake):
    assert find(lake, "hello", phrase=True)["videos"] == []


# -- what is current ----------------------------------------------------------------------------------------------------


def test_only_the_current_generation_is_found(lake, say):
    last = say("the old words")
    say("the new words are here", last_generation=last)
    assert found_keys(lake, "old") == []
    assert (starts(lake, "new"), starts(lake, "the")) == ([400], [0])
    assert find(lake, "words")["total_moments"] == 1


def test_a_phrase_is_not_put_together_from_two_generations(lake, say):
    last = say("interest filler")
    say("filler rates", last_generation=last)
    assert found_keys(lake, "interest rates", phrase=True) == []


def test_gone_and_failed_videos_are_not_found(lake, say):
    last = say("hello world")
    say("hello world", "kept.mp4")
    say("", status="gone", last_generation=last)
    assert found_keys(lake, "hello") == ["kept.mp4"]


def test_rows_of_an_unfinished_batch_are_not_found(lake, say, result):
    say("hello world")
    for name, rows in content_rows(result("secret words", video_id="f" * 20)).items():
        lake.append(name, rows, batch_id="killed")
    assert found_keys(lake, "secret") == []
