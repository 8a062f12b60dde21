"""A copy shares the rows of what it is a copy of: they are written once, and stay as long as anybody has them."""

from __future__ import annotations

import pytest
from copied import SAID, TABLES, TEXT, Archive, archive  # noqa: F401

from tasks.erasure.forget import find_videos, forget
from tasks.lake.check import check
from tasks.lake.maintain import maintain
from tasks.lake.rewrite import each, rewrite
from tasks.runs import pipeline
from tasks.runs.session import open_session

TEXT = "the quixotic woman came to zanzibar | and the river was very high again"
TABLES = ("words", "cues", "passages")


def test_a_copy_writes_no_row_of_what_was_said_and_is_read_like_any_other_video(archive):
    before = archive.files()
    archive.copy("first.mp4", "second.mp4")
    assert archive.files() == before
    assert archive.sharing() == [("second.mp4", "first.mp4", 5)]
    assert archive.words() == {"first.mp4": SAID, "second.mp4": SAID}
    for table in (*TABLES, "words_all", "cues_all", "passages_all"):
        of = (
            f"SELECT * EXCLUDE (video_id, generation) FROM {table} "
            "SEMI JOIN (FROM video_facts WHERE key = '{}') USING (video_id) ORDER BY ALL"
        )
        assert archive.rows(of.format("first.mp4")) == archive.rows(of.format("second.mp4")) != [], table
    assert archive.rows("SELECT key, n_words, n_cues > 0 FROM videos ORDER BY 1") == [
        ("first.mp4", 13, True), ("second.mp4", 13, True),
    ]  # fmt: skip
    assert not archive.open().has_work


def test_a_copy_of_a_copy_shares_the_rows_of_the_first(archive):
    archive.copy("first.mp4", "second.mp4")
    (archive.bucket / "first.mp4").unlink()
    archive.take_over()
    archive.copy("second.mp4", "third.mp4")
    assert archive.sharing() == [("second.mp4", "first.mp4", 5), ("third.mp4", "first.mp4", 5)]
    assert archive.words() == {"second.mp4": SAID, "third.mp4": SAID}


def test_rows_stay_until_the_last_who_shares_them_has_gone(archive):
    archive.copy("first.mp4", "second.mp4")
    (archive.bucket / "first.mp4").write_bytes(b"another video")
    archive.visit("other words")
    for _ in range(2):
        maintain(archive.lake, keep_generations=1, grace_h=0.0)
        assert archive.words() == {"first.mp4": "other words", "second.mp4": SAID}
    (archive.bucket / "second.mp4").write_bytes(b"a third video")
    archive.visit("words of a third")
    done = maintain(archive.lake, keep_generations=1, grace_h=0.0)
    assert done.swept_rows["words"] == 13
    assert archive.words() == {"first.mp4": "other words", "second.mp4": "words of a third"}


def test_new_cue_rules_give_a_copy_cues_of_its_own_beside_words_that_it_shares(archive):
    archive.copy("first.mp4", "second.mp4")
    session = archive.open(stages={"cues": {"line_chars": 20}})
    work = open_session(str(archive.bucket), session.settings, refresh=True)
    assert {(one.key, one.stages) for one in work.work} == {("first.mp4", ("cues",)), ("second.mp4", ("cues",))}
    work.pipeline.commit(pipeline.refresh(work.pipeline, work.refreshed()))
    assert archive.sharing() == [("second.mp4", "first.mp4", 5)]
    for key in ("first.mp4", "second.mp4"):
        cues = archive.rows(f"SELECT text FROM cues SEMI JOIN (FROM video_facts WHERE key = '{key}') USING (video_id)")
        assert max(len(line) for (text,) in cues for line in text.split("\n")) <= 20
    assert not open_session(str(archive.bucket), session.settings, refresh=True).has_work
    older = archive.rows(
        "SELECT DISTINCT v.key, c.text FROM cues_all c JOIN video_facts v USING (video_id) WHERE len(c.text) > 41"
    )
    assert {key for key, _ in older} == {"first.mp4", "second.mp4"}, "as of a day before, both have the cues of then"


@pytest.mark.parametrize("table", ["stage_runs", "words"])
def test_a_copy_whose_rows_have_gone_is_due_again_after_maintain(archive, monkeypatch, table):
    """As a writer leaves it who is killed before he takes it back, or while he does."""
    archive.copy("first.mp4", "second.mp4")
    pair = archive.rows("SELECT video_id, generation FROM video_facts WHERE key = 'second.mp4'")
    if table == "words":
        archive.lake.table("words").delete()
    else:
        archive.lake.table("videos").delete(f"video_id = '{pair[0][0]}'")
    maintain(archive.lake, keep_generations=3, grace_h=0.0)
    assert archive.rows(f"SELECT count(*) FROM _stage_runs WHERE video_id = '{pair[0][0]}'") == [(0,)]
    assert {work.key for work in [*archive.open().fresh(), *archive.open().refreshed()]} == {"second.mp4"}
    if table == "words":
        forget(archive.lake, archive.settings, find_videos(archive.lake, ["first.mp4"]))  # it lacks them too


@pytest.mark.parametrize("gone", [False, True])
def test_what_remains_of_an_older_visit_adds_up(archive, gone):
    if gone:
        (archive.bucket / "other.mp4").write_bytes(b"another video")
        archive.visit("other words")
        (archive.bucket / "first.mp4").unlink()
    else:
        (archive.bucket / "first.json").write_text('{"title": "Another title"}')
    archive.take_over()
    assert maintain(archive.lake, keep_generations=1, grace_h=0.0).problems == []
    assert archive.words() == ({"other.mp4": "other words"} if gone else {"first.mp4": SAID})


def test_a_stage_that_failed_later_does_not_push_out_what_is_shown(archive):
    (archive.bucket / "first.json").write_text('{"title": "Another title"}')
    archive.take_over()
    session = archive.open(stages={"cues": {"line_chars": 20}})
    again = open_session(str(archive.bucket), session.settings, refresh=True)

    class Broken:
        def make(self, video):
            raise RuntimeError("no")

    again.pipeline._runners["cues"] = Broken()
    again.pipeline.commit(pipeline.refresh(again.pipeline, again.refreshed()))
    cues = archive.rows("SELECT text FROM cues")
    maintain(archive.lake, keep_generations=1, grace_h=0.0)
    assert archive.rows("SELECT text FROM cues") == cues != []


def test_what_nobody_counted_is_shared_as_it_is(archive):
    """Runs that were made of an older lake have no numbers of some rows."""
    rewrite(archive.lake, "stage_runs", "stage = 'topics'", each("stage_runs", lambda run: run | {"rows": None}))
    archive.copy("first.mp4", "second.mp4")
    for stage in ("words", "cues", "passages", "topics"):
        of = f"SELECT c.status, c.rows FROM current_{stage} c JOIN video_facts v USING (video_id) WHERE v.key = '{{}}'"
        assert archive.rows(of.format("second.mp4")) == archive.rows(of.format("first.mp4")), stage
    assert check(archive.lake) == []
