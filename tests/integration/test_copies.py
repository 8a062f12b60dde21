"""Three nights of an archive in which objects come, change, go, and get other names; what is known is not heard again."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import REPO
from s3_server import s3, s3_environment, s3_server  # noqa: F401
from sessions import cut, session_on, work_through

from tasks.erasure.forget import find_videos, forget
from tasks.lake.commit import commit
from tasks.lake.copies import content_name
from tasks.lake.store import Lake
from tasks.lake.views import connect
from tasks.models.catalog import find_set
from tasks.runs import pipeline
from tasks.runs.pipeline import refresh
from tasks.runs.session import open_session
from tasks.settings import Settings
from tasks.stages.recipes import recipes


def rows(lake: Lake, sql: str):
    return connect(lake).execute(sql).fetchall()


@pytest.fixture
def heard(monkeypatch) -> list[str]:
    """Keys whose sound was taken out of their file, which comes before everything that costs."""
    seen: list[str] = []
    extract = pipeline.prepare.__globals__["extract_audio"]

    def counted(path, *arguments):
        seen.append(Path(path).name)
        return extract(path, *arguments)

    monkeypatch.setitem(pipeline.prepare.__globals__, "extract_audio", counted)
    return seen


def night(bucket: Path, tmp_path: Path):
    """A run as the flow takes its steps; returns its report."""
    with session_on(bucket, tmp_path) as session:
        return work_through(session)


def counts(report) -> dict[str, int]:
    named = ("new", "changed", "gone", "unchanged", "taken_over", "indexed")
    return {name: value for name in named if (value := report.as_json()[name])}


def test_each_night_does_only_its_work(tmp_path, heard):
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    for name, seconds in (("stays.wav", 4), ("renamed.wav", 5), ("copied.wav", 6), ("changes.wav", 9), ("goes.wav", 3)):
        cut(bucket / name, seconds)
    (bucket / "renamed.json").write_text('{"title": "Its own title"}')
    lake = Lake(str(tmp_path / "lake"))

    assert counts(night(bucket, tmp_path)) == {"new": 5, "indexed": 5}
    assert len(heard) == 5
    words = dict(rows(lake, "SELECT key, text FROM transcripts JOIN videos USING (video_id)"))
    heard.clear()

    (bucket / "sub").mkdir()
    (bucket / "renamed.wav").rename(bucket / "sub/new name.wav")
    (bucket / "renamed.json").rename(bucket / "sub/new name.json")
    shutil.copyfile(bucket / "copied.wav", bucket / "copy.wav")
    cut(bucket / "changes.wav", 7)
    (bucket / "goes.wav").unlink()
    cut(bucket / "comes.wav", 8)
    second = night(bucket, tmp_path)
    assert counts(second) == {"new": 3, "changed": 1, "gone": 2, "unchanged": 2, "taken_over": 2, "indexed": 4}
    assert sorted(heard) == ["changes.wav", "comes.wav"]
    now = dict(rows(lake, "SELECT key, text FROM transcripts JOIN videos USING (video_id)"))
    assert now["sub/new name.wav"] == words["renamed.wav"]
    assert now["copy.wav"] == now["copied.wav"] == words["copied.wav"]
    assert rows(
        lake,
        "SELECT v.key, v.title, s.key FROM videos v JOIN (SELECT DISTINCT video_id, key FROM videos_all) s "
        "ON s.video_id = v.taken_from ORDER BY 1",
    ) == [("copy.wav", "copy", "copied.wav"), ("sub/new name.wav", "Its own title", "renamed.wav")]
    for table in ("words", "cues", "passages"):
        kept = (
            f"SELECT * EXCLUDE (video_id, generation) FROM {table} "
            "SEMI JOIN (FROM videos WHERE key = '{}') USING (video_id) ORDER BY ALL"
        )
        assert rows(lake, kept.format("copy.wav")) == rows(lake, kept.format("copied.wav")) != []
    heard.clear()

    assert counts(night(bucket, tmp_path)) == {"unchanged": 6}
    (bucket / "stays.wav").touch()  # another time, and so another fingerprint
    third = night(bucket, tmp_path)
    assert counts(third) == {"changed": 1, "unchanged": 5, "taken_over": 1, "indexed": 1}
    assert heard == []


def test_copies_that_come_together_are_heard_once(tmp_path, heard):
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    cut(bucket / "a.wav", 4)
    for name in ("b.wav", "c.wav"):
        shutil.copyfile(bucket / "a.wav", bucket / name)
    data = (bucket / "a.wav").read_bytes()
    (bucket / "other.wav").write_bytes(data[:-2] + bytes([data[-2] ^ 1, data[-1]]))
    (bucket / "b.json").write_text('{"title": "A title"}')
    for name in ("empty.wav", "also empty.wav"):
        (bucket / name).write_bytes(b"")
    for name in ("broken.mp4", "also broken.mp4"):
        (bucket / name).write_bytes(b"no media")
    found = night(bucket, tmp_path)
    assert counts(found) == {"new": 8, "indexed": 4, "taken_over": 2}
    assert (found.done["failed"], len(found.failures)) == (4, 4)
    assert len(heard) == 2
    assert "other.wav" in heard
    lake = Lake(str(tmp_path / "lake"))
    assert (
        len(set(rows(lake, "SELECT text FROM transcripts JOIN videos USING (video_id) WHERE key <> 'other.wav'"))) == 1
    )
    assert rows(lake, "SELECT title FROM videos WHERE key = 'b.wav'") == [("A title",)]
    assert rows(lake, "SELECT count(*), count(taken_from) FROM videos_all WHERE status = 'indexed'") == [(4, 2)]
    assert counts(night(bucket, tmp_path)) == {"unchanged": 8}


def test_another_recipe_or_another_content_of_the_same_size_is_heard(tmp_path, heard):
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    cut(bucket / "a.wav", 4)
    night(bucket, tmp_path)
    data = (bucket / "a.wav").read_bytes()
    (bucket / "b.wav").write_bytes(data[:-2] + bytes([data[-2] ^ 1, data[-1]]))
    assert counts(night(bucket, tmp_path)) == {"new": 1, "unchanged": 1, "indexed": 1}
    assert heard == ["a.wav", "b.wav"]
    shutil.copyfile(bucket / "a.wav", bucket / "c.wav")
    with session_on(bucket, tmp_path, window_s=30.0) as session:
        assert [(work.key, work.same_size) for work in session.work] == [("c.wav", False)]
    forget(
        Lake(str(tmp_path / "lake")),
        Settings(scratch=tmp_path / "scratch"),
        find_videos(Lake(str(tmp_path / "lake")), ["a.wav"]),
    )
    (bucket / "a.wav").unlink()
    heard.clear()
    night(bucket, tmp_path)
    assert heard == [], "c.wav is a copy of what is forgotten"
    assert rows(Lake(str(tmp_path / "lake")), "SELECT status, key FROM videos ORDER BY ALL") == [
        ("failed", "c.wav"), ("forgotten", ""), ("indexed", "b.wav"),
    ]  # fmt: skip
    assert counts(night(bucket, tmp_path)) == {"unchanged": 2}


def test_names_of_content_that_are_trusted():
    etag = "9e107d9d372bb6826bd81d3542a419d6"
    assert content_name("s3://archive/talks", etag) == f"etag-{etag}"
    assert content_name("s3://archive/talks", f"{etag}-12") == f"etag-{etag}-12"
    assert content_name("s3://archive/talks", "CKih16GjycICEAE=") is None
    assert content_name("az://archive/talks", "0x8D4BCC2E4835CD0") is None
    assert content_name("az://archive/talks", etag) is None, "only S3 says what such a tag means"
    assert content_name("file:///videos", "1000-1700000000000000000") is None
    assert content_name("file:///videos", "sha256-ab") == "sha256-ab"


@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_copy_on_s3_is_known_by_its_tag_and_nothing_is_read(s3, tmp_path, result):
    s3.put_object(Bucket="archive", Key="talks/first.mp4", Body=b"a video of some bytes")
    s3.put_object(Bucket="archive", Key="talks/other.mp4", Body=b"a video of same bytes")
    settings = Settings(
        lake=str(tmp_path / "lake"), scratch=tmp_path / "scratch", catalog=REPO / "data/models/catalog.toml"
    )
    session = open_session("s3://archive/talks", settings)
    made = recipes(find_set(settings), settings)
    commit(
        session.lake,
        [
            replace(
                result(f"words of {work.key}", video_id=work.video_id, key=work.key, fingerprint=work.fingerprint),
                work=work, recipes=made, bucket=session.bucket.bucket_id, bucket_uri=session.bucket.uri,
            )
            for work in session.work
        ],
        run_id="r", device="cpu",
    )  # fmt: skip
    s3.copy_object(Bucket="archive", Key="talks/renamed.mp4", CopySource="archive/talks/first.mp4")
    s3.delete_object(Bucket="archive", Key="talks/first.mp4")
    again = open_session("s3://archive/talks", settings)
    assert [(work.key, work.reads_object, work.source_id) for work in again.work] == [
        ("renamed.mp4", False, next(w.video_id for w in session.work if w.key == "first.mp4"))
    ]
    assert again.fresh() == []
    again.pipeline.commit(again.pipeline.gone(again.scan.gone))
    (taken,) = again.pipeline.commit(refresh(again.pipeline, again.refreshed()))
    assert (taken.work.key, taken.metadata.title) == ("renamed.mp4", "A talk")
    assert rows(session.lake, "SELECT key, trim(text) FROM transcripts JOIN videos USING (video_id) ORDER BY 1") == [
        ("other.mp4", "words of other.mp4"),
        ("renamed.mp4", "words of first.mp4"),
    ]
    assert not open_session("s3://archive/talks", settings).has_work
    forget(session.lake, settings, find_videos(session.lake, ["renamed.mp4"]))
    s3.copy_object(Bucket="archive", Key="talks/once more.mp4", CopySource="archive/talks/renamed.mp4")
    assert not open_session("s3://archive/talks", settings).has_work, "a copy of what is forgotten"
