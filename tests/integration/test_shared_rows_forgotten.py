"""Rows that are shared, while one who shares them is forgotten, or goes: nobody loses words, and nothing of the forgotten stays."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from conftest import rarely
from copied import SAID, TABLES, TEXT, Archive, archive  # noqa: F401
from forgotten import Killed

from tasks.erasure import erase
from tasks.erasure.forget import find_videos, forget_overdue
from tasks.lake import copies
from tasks.lake.check import check
from tasks.lake.copies import hand_over
from tasks.lake.maintain import maintain
from tasks.lake.store import Lake
from tasks.runs import pipeline
from tasks.runs.pipeline import state


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


@pytest.mark.long
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


@pytest.mark.parametrize("writes", [1, *rarely(2, 5, 6)])
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


@pytest.mark.parametrize("step", ["vanishing", *rarely("hand_over", "freed")])
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
