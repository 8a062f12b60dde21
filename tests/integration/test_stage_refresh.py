"""A stage that is made anew writes its own rows and nothing else; a new title writes no word."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import spoken

from tasks.lake.check import check
from tasks.lake.commit import commit
from tasks.lake.maintain import maintain
from tasks.lake.schema import OF_VIDEOS
from tasks.lake.store import Lake
from tasks.lake.views import connect
from tasks.records import Metadata, Result
from tasks.runs.pipeline import refresh
from tasks.runs.pipeline.known import load_current
from tasks.runs.session import open_session
from tasks.settings import Settings
from tasks.stages.cues.options import rules_of
from tasks.stages.passages.stage import PassagesOptions
from tasks.stages.registry import STAGES
from tasks.stages.transcript import outcomes
from tasks.text.cues import CueRules, make_cues

SAID = "the bank said that interest rates rose again | and that prices had gone up faster than anybody thought " * 4


class Archive:
    """Three videos that were transcribed, in a bucket; one of them says nothing."""

    def __init__(self, folder: Path) -> None:
        self.bucket, self.lake = folder / "bucket", Lake(str(folder / "lake"))
        self.folder = folder
        self.bucket.mkdir()
        for name in ("a.mp4", "b.mp4", "silent.mp4"):
            (self.bucket / name).write_bytes(name.encode())
        session = self.session()
        results = []
        for work in session.work:
            words = () if "silent" in work.key else spoken(SAID)
            cues = tuple(make_cues(words, rules_of(session.settings), duration_ms=90_000))
            results.append(
                Result(work, session.bucket.bucket_id, session.bucket.uri, "indexed" if words else "no_speech", Metadata("A talk"),
                       session.recipes, words=words, outcomes=outcomes(words, cues), duration_ms=90_000, language="en")
            )  # fmt: skip
        commit(self.lake, results, run_id="first", device="cpu")

    def session(self, **changed: Any) -> Any:
        refreshed = bool(changed)
        settings = Settings(lake=self.lake.uri, scratch=self.folder / "scratch", models="demo", **changed)
        return open_session(str(self.bucket), settings, refresh=refreshed)

    def refresh(self, **changed: Any) -> list[Result]:
        session = self.session(**changed)
        return session.pipeline.commit(refresh(session.pipeline, session.refreshed()))

    def take_metadata(self) -> list[Result]:
        """What a night does where titles were edited."""
        session = self.session()
        return session.pipeline.commit(refresh(session.pipeline, session.refreshed()))

    def files(self) -> dict[str, set[str]]:
        return {name: set(self.lake.files(name)) for name in ("videos", *OF_VIDEOS)}

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return connect(self.lake).execute(sql).fetchall()


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path)


def written(archive: Archive, act: Callable[[], object]) -> set[str]:
    """The tables that `act` writes to."""
    before = archive.files()
    act()
    return {name for name, files in archive.files().items() if files != before[name]}


@pytest.mark.parametrize(
    ("changed", "stage", "videos"),
    [({"topic_keep": 2}, "topics", 3), ({"line_chars": 30}, "cues", 2)],
    ids=["topics", "cues"],
)
def test_a_new_recipe_of_a_stage_writes_that_stage_alone(archive, changed, stage, videos):
    words = archive.rows("SELECT * FROM words ORDER BY ALL")
    facts = archive.rows("SELECT * FROM video_rows ORDER BY ALL")
    assert written(archive, lambda: archive.refresh(**changed)) == {stage, "stage_runs"}
    assert len(archive.rows(f"SELECT * FROM stage_runs WHERE stage = '{stage}'")) == 3 + videos - (stage == "cues")
    assert archive.rows("SELECT * EXCLUDE (cue_no) FROM words ORDER BY ALL") == [row[:-1] for row in words]
    assert archive.rows("SELECT * FROM video_rows ORDER BY ALL") == facts
    assert check(archive.lake) == []
    assert written(archive, lambda: archive.refresh(**changed)) == set(), "the second time there is nothing to do"


def test_new_passages_are_cut_without_a_word_or_a_cue(archive, monkeypatch):
    monkeypatch.setattr(PassagesOptions, "described", lambda self: {"passages": "others"})
    before = archive.rows("SELECT * EXCLUDE (generation) FROM passages ORDER BY ALL")
    assert written(archive, lambda: archive.refresh(topic_keep=5)) >= {"passages", "stage_runs"}
    assert archive.rows("SELECT * EXCLUDE (generation) FROM passages ORDER BY ALL") == before
    assert archive.rows("SELECT count(DISTINCT generation) FROM _passages") == [(4,)]
    assert check(archive.lake) == []


def test_a_new_title_writes_no_word(archive):
    (archive.bucket / "a.json").write_text(json.dumps({"title": "Interest rates"}))
    assert written(archive, lambda: archive.take_metadata()) == {"videos", "topics", "stage_runs"}
    assert archive.rows("SELECT title, n_words > 0, n_cues > 0, n_passages > 0 FROM videos WHERE key = 'a.mp4'") == [
        ("Interest rates", True, True, True)
    ]
    titles = archive.rows("SELECT v.title, count(w.word) FROM videos_all v JOIN words_all w USING (video_id, generation) "
                          "WHERE v.key = 'a.mp4' GROUP BY ALL ORDER BY ALL")  # fmt: skip
    assert [title for title, _ in titles] == ["A talk", "Interest rates"]
    assert len({n for _, n in titles}) == 1, "both generations have the same words"
    assert check(archive.lake) == []


def test_of_cues_that_were_cut_anew_each_word_knows_its_own(archive):
    before = archive.rows("SELECT max(cue_no) FROM words")
    archive.refresh(line_chars=20)
    assert archive.rows("SELECT max(cue_no) FROM words") > before
    assert archive.rows(
        "SELECT count(*) FROM words w LEFT JOIN cues c USING (video_id, generation, cue_no) "
        "WHERE c.cue_no IS NULL OR w.word_no NOT BETWEEN c.first_word AND c.last_word"
    ) == [(0,)]


def test_of_a_stage_as_many_runs_are_kept_as_of_a_video_generations(archive):
    for keep in (1, 2, 3, 5):
        archive.refresh(topic_keep=keep)
    swept = maintain(archive.lake, keep_generations=2, grace_h=0).swept_rows
    assert swept["stage_runs"] == 3 * 2, (
        "of five runs of three videos the newest two stay, and the one of the video's first row"
    )
    assert archive.rows("SELECT count(*) FROM stage_runs WHERE stage = 'topics'") == [(9,)]
    assert archive.rows("SELECT count(*) FROM words") == [(2 * len(spoken(SAID)),)]
    assert check(archive.lake) == []


def test_history_shows_each_stage_as_it_was_on_a_day(archive):
    old = archive.rows("SELECT video_id, cue_no, text FROM cues ORDER BY ALL")
    between = archive.rows("SELECT now()")[0][0]
    archive.refresh(line_chars=20)
    assert archive.rows("SELECT video_id, cue_no, text FROM cues ORDER BY ALL") != old
    then = f"SELECT video_id, max(generation) AS generation FROM videos_all WHERE indexed_at < '{between}' GROUP BY ALL"
    for table, columns in (("cues", "video_id, cue_no, text"), ("words", "video_id, word_no, word")):
        shown = archive.rows(
            f"SELECT {columns} FROM {table}_all SEMI JOIN ({then}) USING (video_id, generation) ORDER BY ALL"
        )
        assert shown == (old if table == "cues" else archive.rows(f"SELECT {columns} FROM words ORDER BY ALL"))


def test_what_was_made_of_an_older_object_is_not_shown_beside_a_newer(archive):
    """A refresh that was slow ends after the video was transcribed again."""
    slow = archive.session(topic_keep=2)
    late = refresh(slow.pipeline, slow.refreshed())
    (archive.bucket / "a.mp4").write_bytes(b"another film")
    session = archive.session()
    [work] = session.work
    words = spoken("something else")
    made = Result(work, session.bucket.bucket_id, session.bucket.uri, "indexed", Metadata("Another"), session.recipes,
                  words=words, outcomes=outcomes(words, make_cues(words, CueRules(), duration_ms=9000)), duration_ms=9000)  # fmt: skip
    commit(archive.lake, [made], run_id="second", device="cpu")
    slow.pipeline.commit([replace(result) for result in late])
    topics = archive.rows(
        "SELECT count(*) FROM topics t JOIN videos v USING (video_id, generation) WHERE v.key = 'a.mp4' AND t.rank = 2"
    )
    assert topics == [(0,)]
    assert archive.rows("SELECT n_words FROM videos WHERE key = 'a.mp4'") == [(2,)]
    assert check(archive.lake) == []


def test_new_metadata_bring_no_older_transcript_back(archive):
    """A run that began before the video was transcribed again takes its new title after that."""
    (archive.bucket / "a.json").write_text('{"title": "Edited"}')
    slow = archive.session()
    slow.pipeline.seen.read(lambda lake: lake.execute("SELECT 1").fetchall())
    [work] = [item for item in slow.work if item.key == "a.mp4"]
    old = slow.pipeline.seen.read(lambda lake: load_current(lake, [work.video_id], ()))[work.video_id]
    words = spoken("something else")
    again = Result(replace(work, sidecar_fingerprint=None), slow.bucket.bucket_id, slow.bucket.uri, "indexed", Metadata("A talk"),
                   slow.recipes, words=words, outcomes=outcomes(words, make_cues(words, CueRules(), duration_ms=9000)),
                   duration_ms=9000, beside=old.beside(new_metadata=True, new_transcript=True))  # fmt: skip
    commit(archive.lake, [again], run_id="second", device="cpu")
    slow.pipeline.commit(refresh(slow.pipeline, slow.refreshed()))
    assert archive.rows("SELECT title, n_words FROM videos WHERE key = 'a.mp4'") == [("Edited", 2)]
    assert archive.rows("SELECT word FROM words JOIN videos USING (video_id) WHERE key = 'a.mp4' ORDER BY word_no") == [
        ("something",), ("else",)
    ]  # fmt: skip
    assert check(archive.lake) == []


def test_every_stage_stands_in_the_runs_by_what_it_was_made_from(archive):
    archive.refresh(topic_keep=2)
    found = archive.rows(
        "SELECT t.inputs['words'] = w.generation, t.inputs['metadata'] = v.metadata_generation, t.object_generation = v.object_generation, "
        "t.generation > v.generation FROM stage_runs t JOIN video_facts v USING (video_id) JOIN stage_runs w ON w.video_id = v.video_id "
        "AND w.stage = 'words' WHERE t.stage = 'topics' QUALIFY row_number() OVER (PARTITION BY t.video_id ORDER BY t.generation DESC) = 1"
    )
    assert found == [(True, True, True, True)] * 3
    made = {stage for (stage,) in archive.rows("SELECT DISTINCT stage FROM stage_runs")}
    off = {"frames", "sounds", "sound_events", "screen_lines", "screen"}
    assert made == set(STAGES.names) - off, "for which the set has no model, or nothing is set"
