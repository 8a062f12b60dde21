"""Every query of docs/queries.md, run in the sandbox over a small lake; rows are compared literally."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from conftest import with_rows, with_seconds

from tasks.lake.commit import commit
from tasks.lake.sandbox import run_query
from tasks.lake.store import Lake
from tasks.records import Result, Topic

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "queries.md").read_text(encoding="utf-8")
QUERIES = {
    part.split("\n", 1)[0].strip(): re.findall(r"^```sql\n(.*?)^```$", part, re.DOTALL | re.MULTILINE)
    for part in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]
}

EXPECTED: dict[str, list[tuple[object, ...]]] = {
    "Talk time by topic and month": [
        ("2024-02", "business", 1, 1.5),
        ("2024-02", "sport", 1, 1.0),
        ("2024-03", "business", 1, 0.5),
        (None, "tech", 1, 1.5),
    ],
    "Words that are distinctive of a topic": [
        ("interest", 4, 0, 0.33),
        ("rates", 4, 1, 0.21),
        ("and", 1, 0, 0.15),
        ("bank", 1, 0, 0.15),
        ("fell", 1, 0, 0.15),
        ("left", 1, 0, 0.15),
        ("rose", 1, 0, 0.15),
        ("shares", 1, 0, 0.15),
        ("high", 1, 1, -0.04),
        ("the", 1, 4, -0.33),
    ],
    "A phrase over time": [
        ("2024-02", 3, 1, 18, 166666.7),  # two of the three stand side by side
        ("2024-03", 1, 1, 6, 166666.7),  # written with capitals
        (None, 0, 0, 4, 0.0),
    ],
    "Speech rate": [
        ("sport/cup.mov", 8, 1.0, 8.0),
        ("business/interest-rates.mp4", 10, 1.5, 6.7),
        ("tech/phones.mp4", 4, 1.5, 2.7),
    ],
    "Concordance": [
        ("business/markets.mkv", "0:01", "shares fell and Interest", "Rates", "rose"),
        (
            "business/interest-rates.mp4",
            "0:01",
            "the bank left interest",
            "rates",
            "high interest rates interest rates",
        ),
        ("business/interest-rates.mp4", "0:04", "left interest rates high interest", "rates", "interest rates"),
        ("business/interest-rates.mp4", "0:05", "rates high interest rates interest", "rates", ""),
        ("tech/phones.mp4", "0:00", "the phone", "rates", "high"),
    ],
    "Videos like this one": [("business/markets.mkv", "A talk", 0.976), ("tech/phones.mp4", "A talk", 0.605)],
    "Topics in the course of a video": [("0:00", "1:05", "business", 0.75), ("1:05", "2:00", "tech", 0.5)],
    "Least certain words": [
        ("the", 5, 0.66, "sport/cup.mov", 0),
        ("interest", 3, 0.9, "business/interest-rates.mp4", 1200),
        ("rates", 4, 0.9, "business/interest-rates.mp4", 1600),
    ],
    "What changed between two generations": [
        ("business/interest-rates.mp4", "rates", 0, 3),
        ("business/interest-rates.mp4", "interest", 1, 3),
        ("business/interest-rates.mp4", "raids", 1, 0),
    ],
    "What the index said on a day": [
        (
            "business/interest-rates.mp4",
            datetime(2024, 3, 20, tzinfo=UTC),
            "indexed",
            "the bank left interest raids high",
        )
    ],
    "Failures by reason": [
        ("corrupt", 2, 0, 5.0, "cut.mp4", "Invalid data"),
        ("timeout", 1, 1, 2.5, "slow.mp4", "ffmpeg was silent for 60 s"),
    ],
    "Machine time by device": [
        ("cpu", 1, 0.03, 30.0, 60.0, 900.0, 90.0, 15.0),
        ("cuda:0", 4, 0.13, 30.0, 60.0, 900.0, 90.0, 15.0),
    ],
}


def on(day: str) -> datetime:
    return datetime.fromisoformat(day).replace(tzinfo=UTC)


def with_topics(made: Result, **scores: float) -> Result:
    """Scores of the whole video, best first, and two windows: the first half with the first topic, the rest with the last."""
    ranked = sorted(scores.items(), key=lambda item: -item[1])
    topics = [Topic("video", 0, 120_000, rank, label, score, "test") for rank, (label, score) in enumerate(ranked, 1)]
    topics.append(Topic("window", 0, 65_000, 1, ranked[0][0], 0.75, "test"))
    topics.append(Topic("window", 65_000, 120_000, 1, ranked[-1][0], 0.5, "test"))
    return with_rows(made, topics=[asdict(topic) for topic in topics])


@pytest.fixture
def filled(lake: Lake, result: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> Lake:
    """Eight videos: two of business, one of them in two generations; sport; tech; silence; three that failed."""

    def at(day: str) -> None:
        monkeypatch.setattr("tasks.lake.commit.datetime", type("Clock", (), {"now": lambda zone: on(day)}))

    stages = {"fetch": 1.0, "audio": 2.0, "emissions": 30.0, "words": 3.0, "topics": 0.5}

    def long(made: Result, speech_ms: int = 90_000) -> Result:
        return with_seconds(replace(made, speech_ms=speech_ms, duration_ms=120_000), **stages)

    rates = {"video_id": "a" * 20, "key": "business/interest-rates.mp4", "published_at": on("2024-02-01")}
    old = result("the bank left interest raids high", **rates)
    at("2024-03-20")
    [first] = commit(lake, [long(with_topics(old, business=0.8, tech=0.2))], run_id="one", device="cpu")

    new = result(
        "the bank left interest rates high | interest rates interest rates", **rates, last_generation=first.generation
    )
    markets = result(
        "shares fell and Interest Rates rose",
        video_id="b" * 20,
        key="business/markets.mkv",
        published_at=on("2024-03-05"),
        confidence=0.75,
    )
    cup = result(
        "the goal the late goal won the cup",
        video_id="c" * 20,
        key="sport/cup.mov",
        published_at=on("2024-02-09"),
        confidence=0.5,
    )
    phones = result("the phone rates high", video_id="d" * 20, key="tech/phones.mp4", published_at=None)
    quiet = result("", video_id="e" * 20, key="quiet.mp4", status="no_speech", published_at=on("2024-03-01"))
    failed = [
        replace(
            result("", video_id=digit * 20, key=key, status="failed"),
            reason=reason,
            error=error,
            next_try_at=on(due) if due else None,
        )
        for digit, key, reason, error, due in (
            ("1", "broken.mp4", "corrupt", "moov atom not found", None),
            ("2", "cut.mp4", "corrupt", "Invalid data", None),
            ("3", "slow.mp4", "timeout", "ffmpeg was silent for 60 s", "2024-04-21"),
        )
    ]
    at("2024-04-20")
    results = [
        long(with_topics(new, business=0.8, tech=0.2)),
        long(with_topics(markets, business=0.6, tech=0.3), 30_000),
        long(with_topics(cup, sport=0.9, politics=0.1), 60_000),
        long(with_topics(phones, tech=0.7, business=0.3)),
        quiet,
        *(replace(item, work=replace(item.work, size_bytes=2_500_000)) for item in failed),
    ]
    commit(lake, results, run_id="two", device="cuda:0")
    return lake


def test_every_query_has_one_sentence_one_block_and_an_expectation():
    for part in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]:
        heading, body = part.split("\n", 1)
        sentence, *blocks = re.split(r"^```", body, flags=re.MULTILINE)
        assert len(blocks) == 2, f"{heading}: one block"
        assert sentence.strip().endswith("."), f"{heading}: a sentence before its block"
        assert sentence.count(". ") == 0, f"{heading}: one sentence"
    assert set(QUERIES) == set(EXPECTED)
    assert PAGE.count("```sql") == len(QUERIES)


def test_every_query_of_the_page_gives_these_rows(filled):
    for heading, [sql] in QUERIES.items():
        answer = run_query(filled, sql, seconds=30, memory_mb=1024, rows=1000)
        found = [tuple(row.values()) for row in answer.rows.to_pylist()]
        assert found == EXPECTED[heading], heading


@pytest.mark.long
def test_no_query_of_the_page_fails_on_an_empty_lake(lake):
    for heading, [sql] in QUERIES.items():
        assert run_query(lake, sql, seconds=30, memory_mb=1024, rows=1000).rows.num_rows == 0, heading
