"""A copy shares the rows of what it is a copy of: they are written once, and stay as long as anybody has them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import REPO
from forgotten import Killed

from tasks.erasure import erase
from tasks.erasure.forget import find_videos, forget, forget_overdue
from tasks.lake import copies
from tasks.lake.commit import commit
from tasks.lake.copies import hand_over
from tasks.lake.maintain import check, maintain
from tasks.lake.rewrite import each, rewrite
from tasks.lake.store import Lake
from tasks.lake.views import connect
from tasks.models.catalog import find_set
from tasks.runs import pipeline
from tasks.runs.pipeline import state
from tasks.runs.session import Session, open_session
from tasks.settings import Settings
from tasks.stages.recipes import recipes

TEXT = "the quixotic woman came to zanzibar | and the river was very high again"
TABLES = ("words", "cues", "passages")


class Archive:
    """A folder of videos by their names, of which the lake knows the first one."""

    def __init__(self, folder: Path, result: Callable) -> None:
        self.bucket, self.result = folder / "bucket", result
        self.settings = Settings(
            lake=str(folder / "lake"),
            scratch=folder / "scratch",
            catalog=REPO / "data/models/catalog.toml",
            checksum=True,
        )
        self.lake = Lake(self.settings.lake)
        self.bucket.mkdir()
        (self.bucket / "first.mp4").write_bytes(b"a video of some bytes")
        self.visit(TEXT)

    def open(self, **options) -> Session:
        return open_session(str(self.bucket), self.settings.model_copy(update=options))

    def visit(self, text: str) -> None:
        """Index what has to be transcribed, with this text."""
        session = self.open()
        made = recipes(find_set(self.settings), self.settings)
        done = [
            replace(
                self.result(text, video_id=work.video_id, key=work.key, topic="Rivers"), work=work, recipes=made,
                bucket=session.bucket.bucket_id, bucket_uri=session.bucket.uri,
                content_sha256=work.fingerprint.removeprefix("sha256-"),
            )
            for work in session.fresh()
        ]  # fmt: skip
        commit(self.lake, done, run_id="r", device="cpu")

    def take_over(self) -> list:
        """What a run does without reading an object."""
        session = self.open()
        gone = session.pipeline.commit(session.pipeline.gone(session.scan.gone))
        return [*gone, *session.pipeline.commit(pipeline.refresh(session.pipeline, session.refreshed()))]

    def copy(self, old: str, new: str) -> None:
        shutil.copyfile(self.bucket / old, self.bucket / new)
        self.take_over()

    def rows(self, sql: str) -> list:
        return connect(self.lake).execute(sql).fetchall()

    def words(self) -> dict[str, str]:
        return dict(self.rows("SELECT key, trim(text) FROM transcripts JOIN videos USING (video_id)"))

    def files(self) -> dict[str, list[str]]:
        return {name: sorted(self.lake.files(name)) for name in TABLES}

    def sharing(self) -> list:
        return self.rows(
            "SELECT v.key, o.key, count(*) FROM shared_runs s JOIN video_facts v USING (video_id) "
            "JOIN (SELECT DISTINCT video_id, key FROM _videos WHERE key <> '') o ON o.video_id = s.taken_from GROUP BY ALL ORDER BY ALL"
        )

    def forget_gone(self, name: str):
        """Forget what has left the bucket, as `maintain` does when its time has come."""
        (self.bucket / name).unlink()
        session = self.open()
        session.pipeline.commit(session.pipeline.gone([one for one in session.scan.gone if one.key == name]))
        [certificate] = forget_overdue(self.lake, self.settings.model_copy(update={"forget_gone_days": 0.0}))
        return certificate

    def forget(self, *names: str):
        return forget(self.lake, self.settings, find_videos(self.lake, names))


@pytest.fixture
def archive(tmp_path, result) -> Archive:
    return Archive(tmp_path, result)


SAID = TEXT.replace("| ", "")


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


def test_what_is_forgotten_hands_its_rows_over_to_those_who_share_them(archive):
    archive.copy("first.mp4", "second.mp4")
    [first] = find_videos(archive.lake, ["first.mp4"])
    certificate = archive.forget("first.mp4")
    assert certificate.complete, certificate.left
    assert certificate.handed_over == find_videos(archive.lake, ["second.mp4"])
    assert "Handed over  to" in certificate.text()
    assert archive.words() == {"second.mp4": SAID}
    assert archive.sharing() == []
    for name in (*TABLES, "stage_runs"):
        assert archive.rows(f"SELECT count(*) FROM _{name} WHERE video_id = '{first}'") == [(0,)], name
    assert archive.rows(f"SELECT count(*) FROM _stage_runs WHERE taken_from = '{first}'") == [(0,)]
    (archive.bucket / "first.mp4").unlink()
    assert not archive.open().has_work
    words = archive.rows("SELECT count(DISTINCT word) FROM vocabulary WHERE word = 'zanzibar'")
    assert words == [(1,)], "it is still said"
    assert archive.forget("second.mp4").complete
    assert archive.rows("SELECT count(*) FROM vocabulary") == [(0,)]


def test_all_who_share_may_be_forgotten_together_and_one_of_them_alone(archive):
    archive.copy("first.mp4", "second.mp4")
    archive.copy("first.mp4", "third.mp4")
    alone = archive.forget("third.mp4")
    assert (alone.complete, alone.handed_over) == (True, [])
    assert archive.words() == {"first.mp4": SAID, "second.mp4": SAID}
    assert archive.rows("SELECT count(*) FROM vocabulary WHERE word = 'zanzibar'") == [(1,)]
    both = archive.forget("first.mp4", "second.mp4")
    assert (both.complete, both.handed_over) == (True, [])
    assert archive.words() == {}
    assert archive.rows("SELECT count(*) FROM _words") == archive.rows("SELECT count(*) FROM vocabulary") == [(0,)]


@pytest.mark.parametrize("writes", [1, 2, 5, 6])
def test_handing_over_can_be_killed_before_each_write(archive, monkeypatch, writes):
    """The bare row, the first and the last of four tables, and the runs."""
    archive.copy("first.mp4", "second.mp4")
    done, append = 0, Lake.append

    def killed(*arguments, **options):
        nonlocal done
        done += 1
        if done == writes:
            raise Killed
        return append(*arguments, **options)

    with monkeypatch.context() as killing:
        killing.setattr(Lake, "append", killed)
        killing.setattr("tasks.lake.copies.rewrite", killed_at(writes == 6))
        with pytest.raises(Killed):
            archive.forget("first.mp4")
    assert archive.words()["second.mp4"] == SAID
    maintain(archive.lake, keep_generations=1, grace_h=0.0)
    assert archive.words()["second.mp4"] == SAID
    (archive.bucket / "first.mp4").unlink()
    assert archive.forget("first.mp4").complete or writes == 1
    forget_overdue(archive.lake, archive.settings)
    assert archive.words() == {"second.mp4": SAID}
    assert archive.sharing() == []


def killed_at(now: bool):
    from tasks.lake.rewrite import rewrite

    def act(*arguments):
        if now:
            raise Killed
        rewrite(*arguments)

    return act


def test_what_leaves_the_bucket_for_good_hands_over_too(archive):
    archive.copy("first.mp4", "second.mp4")
    (archive.bucket / "first.mp4").unlink()
    archive.take_over()
    wanted = archive.settings.model_copy(update={"forget_gone_days": 0.0})
    [certificate] = forget_overdue(archive.lake, wanted)
    assert certificate.complete, certificate.left
    assert archive.words() == {"second.mp4": SAID}
    assert archive.sharing() == []


@pytest.mark.parametrize(("how", "copies"), [("expired", 2), ("forgotten", 1), ("gone", 1)])
def test_rows_that_go_while_copies_are_committed_are_noticed(archive, monkeypatch, how, copies):
    names = ["second.mp4", "third.mp4"][:copies]
    for name in names:
        shutil.copyfile(archive.bucket / "first.mp4", archive.bucket / name)
    session = archive.open()
    results = pipeline.refresh(session.pipeline, session.refreshed())
    write = state.commit

    def late(*arguments, **options):
        monkeypatch.setattr(state, "commit", write)
        if how == "forgotten":
            archive.forget("first.mp4")
        elif how == "gone":
            archive.forget_gone("first.mp4")
        else:
            (archive.bucket / "first.mp4").write_bytes(b"another video")
            archive.visit("other words")
            maintain(archive.lake, keep_generations=1, grace_h=0.0)
        return write(*arguments, **options)

    monkeypatch.setattr(state, "commit", late)
    assert session.pipeline.commit(results) == []
    assert check(archive.lake) == []
    assert archive.rows("SELECT count(*) FROM video_facts WHERE key IN ('second.mp4', 'third.mp4')") == [(0,)]
    assert archive.rows("SELECT count(*) FROM _words WHERE word = 'zanzibar'") == [(0,)]
    if how != "forgotten":
        archive.visit(TEXT)
        assert {name: archive.words()[name] for name in names} == dict.fromkeys(names, SAID)


@pytest.mark.parametrize("chain", [False, True])
@pytest.mark.parametrize("step", ["hand_over", "freed"])
def test_a_copy_that_comes_while_its_source_is_forgotten_has_its_words_or_is_due_again(
    archive, monkeypatch, step, chain
):
    if chain:
        archive.copy("first.mp4", "second.mp4")
    shutil.copyfile(archive.bucket / "first.mp4", archive.bucket / "new.mp4")
    session = archive.open()
    results = pipeline.refresh(session.pipeline, session.refreshed())
    real = getattr(erase, step)

    def late(*arguments):
        monkeypatch.setattr(erase, step, real)
        found = real(*arguments)
        session.pipeline.commit(results)
        return found

    monkeypatch.setattr(erase, step, late)
    certificate = archive.forget_gone("first.mp4")
    assert certificate.complete, certificate.left
    assert check(archive.lake) == []
    due = {work.key for work in archive.open().fresh()} | {work.key for work in archive.open().refreshed()}
    assert archive.words().get("new.mp4", "" if "new.mp4" in due else None) in ("", SAID)
    assert archive.words().get("second.mp4") == (SAID if chain else None)
    assert archive.sharing() == []


def test_what_was_changed_to_a_copy_of_something_that_is_forgotten_is_not_forgotten_with_it(archive, monkeypatch):
    (archive.bucket / "second.mp4").write_bytes(b"a second video")
    archive.visit("words of its own")
    shutil.copyfile(archive.bucket / "first.mp4", archive.bucket / "second.mp4")
    session = archive.open()
    results = pipeline.refresh(session.pipeline, session.refreshed())
    write = state.commit

    def late(*arguments, **options):
        monkeypatch.setattr(state, "commit", write)
        archive.forget("first.mp4")
        return write(*arguments, **options)

    monkeypatch.setattr(state, "commit", late)
    assert session.pipeline.commit(results) == []
    assert archive.words() == {"second.mp4": "words of its own"}


def test_rows_that_only_a_forgotten_copy_kept_go_with_it(archive):
    archive.copy("first.mp4", "second.mp4")
    (archive.bucket / "first.mp4").write_bytes(b"another video")
    archive.visit("other words")
    maintain(archive.lake, keep_generations=1, grace_h=0.0)
    certificate = archive.forget("second.mp4")
    assert certificate.complete, certificate.left
    assert archive.rows("SELECT string_agg(word, ' ') FROM _words") == [("other words",)]
    assert archive.rows("SELECT string_agg(word, ' ' ORDER BY word) FROM vocabulary") == [("other words",)]
    assert archive.words() == {"first.mp4": "other words"}
    lies = [path for path in Path(archive.lake.uri).rglob("*.parquet") if b"zanzibar" in path.read_bytes()]
    assert lies == []


@pytest.mark.parametrize("step", ["hand_over", "freed", "vanishing"])
def test_forgetting_a_copy_that_kept_rows_alone_can_be_killed(archive, monkeypatch, step):
    archive.copy("first.mp4", "second.mp4")
    (archive.bucket / "first.mp4").write_bytes(b"another video")
    archive.visit("other words")
    maintain(archive.lake, keep_generations=1, grace_h=0.0)

    def killed(*arguments):
        raise Killed

    with monkeypatch.context() as killing:
        killing.setattr(erase, step, killed)
        with pytest.raises(Killed):
            archive.forget("second.mp4")
    [certificate] = forget_overdue(archive.lake, archive.settings)
    assert certificate.complete
    assert archive.rows("SELECT string_agg(word, ' ') FROM _words") == [("other words",)]
    assert archive.rows("SELECT DISTINCT reason, error FROM videos WHERE status = 'forgotten'") == [(None, None)]


def test_two_who_hand_over_at_once_write_the_rows_once(archive, monkeypatch):
    archive.copy("first.mp4", "second.mp4")
    [first] = find_videos(archive.lake, ["first.mp4"])
    one_by_one = copies._hand_over
    beside = []

    def slow(*arguments):
        if not beside:
            beside.append(True)
            hand_over(archive.lake, [first])
        return one_by_one(*arguments)

    monkeypatch.setattr(copies, "_hand_over", slow)
    assert hand_over(archive.lake, [first]) == find_videos(archive.lake, ["second.mp4"])
    assert archive.words() == {"first.mp4": SAID, "second.mp4": SAID}
    assert archive.rows("SELECT count(*) FROM words") == [(26,)]


def test_nothing_is_handed_over_to_a_video_that_a_killed_writer_never_made(archive, monkeypatch):
    shutil.copyfile(archive.bucket / "first.mp4", archive.bucket / "second.mp4")
    session = archive.open()
    results = pipeline.refresh(session.pipeline, session.refreshed())
    append = Lake.append

    def killed(lake, name, *arguments, **options):
        if name == "videos":
            raise Killed
        return append(lake, name, *arguments, **options)

    with monkeypatch.context() as killing:
        killing.setattr(Lake, "append", killed)
        with pytest.raises(Killed):
            session.pipeline.commit(results)
    (archive.bucket / "second.mp4").unlink()
    certificate = archive.forget("first.mp4")
    assert (certificate.complete, certificate.handed_over) == (True, [])
    assert archive.rows("SELECT count(*) FROM _words") == archive.rows("SELECT count(*) FROM _stage_runs") == [(0,)]


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
