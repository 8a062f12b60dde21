"""A bucket and a lake on an S3 server: listed, read into scratch, indexed, queried; nothing is left in scratch."""

from __future__ import annotations

import json

import pytest
from conftest import BUCKET, REPO, command_environment
from forked import nightscribe
from s3_server import s3  # noqa: F401
from sessions import session_on, through

from tasks.errors import BucketNotFound, LakeNotWritable, StorageBusy
from tasks.lake.check import check
from tasks.lake.commit import commit
from tasks.lake.create import create_lake
from tasks.lake.maintain import maintain
from tasks.lake.sandbox import run_query
from tasks.lake.store import Lake
from tasks.lake.views import connect
from tasks.runs.session import open_session
from tasks.settings import Settings
from tasks.sources.bucket import open_bucket

pytestmark = [
    # moto and botocore leave sockets to the garbage collector
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


def test_a_bucket_on_s3_is_indexed_and_a_changed_object_is_seen(s3, tmp_path):
    for name in ("unsorted/clouds.mp4", "unsorted/clouds.json", "unsorted/quiet room.mp4"):
        s3.upload_file(str(BUCKET / name), "archive", f"talks/{name}")
    s3.put_object(Bucket="archive", Key="elsewhere/other.mp4", Body=b"not in the prefix")
    with session_on("s3://archive/talks", tmp_path) as session:
        assert sorted(item.key for item in session.work) == ["unsorted/clouds.mp4", "unsorted/quiet room.mp4"]
        for batch in session.batches():
            through(session, batch)
            session.committed(session.pipeline.commit([item.result for item in batch.items]))
        report = session.close("done")
        settings = session.settings
    assert (report.done["no_audio"], report.done["no_speech"]) == (1, 1)
    assert [path.name for path in (tmp_path / "scratch").iterdir() if not path.name.endswith(".lock")] == []

    assert not open_session("s3://archive/talks", settings).has_work
    s3.upload_file(str(BUCKET / "sport/cup-final.mov"), "archive", "talks/unsorted/clouds.mp4")
    again = open_session("s3://archive/talks", settings)
    assert [(item.key, item.why) for item in again.work] == [("unsorted/clouds.mp4", "changed")]


def test_a_missing_s3_bucket_is_said_before_any_work(s3):
    with pytest.raises(BucketNotFound, match="does not exist"):
        open_bucket("s3://nowhere/talks", Settings())


def test_keys_are_whatever_the_store_says(s3, tmp_path):
    keys = [
        "a b ü.mp4",
        "日本.mp4",
        "x//y.mp4",
        "/lead.mp4",
        "../up.mp4",
        "q?versionId=3#&+%20.mp4",
        "tail .mp4",
        "*.mp4",
        "bell\x07 and return\r.mp4",
        f"{'long' * 220}.mp4",
    ]
    for key in keys:
        s3.put_object(Bucket="archive", Key=f"talks/{key}", Body=key.encode())
    s3.put_object(Bucket="archive", Key="talks/folder/", Body=b"")
    bucket = open_bucket("s3://archive/talks", Settings())
    listed = {item.key: item for item in bucket.list()}
    assert sorted(listed) == sorted(keys)
    for key, item in listed.items():
        assert bucket.stat(key) == item
        assert list(bucket.sidecar(key)) == [key.encode()]
        with bucket.fetched(key, item.fingerprint, tmp_path, 0.0) as path:
            assert path.parent == tmp_path
            assert path.read_bytes() == key.encode()
    assert list(tmp_path.iterdir()) == []


def test_a_listing_has_as_many_pages_as_it_takes(s3):
    for n in range(1003):
        s3.put_object(Bucket="archive", Key=f"{n:04d}.mp4", Body=b"")
    assert sorted(item.key for item in open_bucket("s3://archive", Settings()).list()) == [
        f"{n:04d}.mp4" for n in range(1003)
    ]


def test_of_a_bucket_with_versions_the_newest_counts(s3, tmp_path):
    s3.put_bucket_versioning(Bucket="archive", VersioningConfiguration={"Status": "Enabled"})
    for body in (b"first", b"second"):
        s3.put_object(Bucket="archive", Key="a.mp4", Body=body)
    s3.put_object(Bucket="archive", Key="b.mp4", Body=b"gone")
    s3.delete_object(Bucket="archive", Key="b.mp4")
    bucket = open_bucket("s3://archive", Settings())
    (item,) = bucket.list()
    with bucket.fetched("a.mp4", item.fingerprint, tmp_path, 0.0) as path:
        assert path.read_bytes() == b"second"


def test_an_object_in_parts_is_read_like_any_other(s3, tmp_path):
    upload = s3.create_multipart_upload(Bucket="archive", Key="a.mp4")["UploadId"]
    parts = []
    for n, body in enumerate([b"x" * (5 << 20), b"y" * 1000], 1):
        made = s3.upload_part(Bucket="archive", Key="a.mp4", UploadId=upload, PartNumber=n, Body=body)
        parts.append({"PartNumber": n, "ETag": made["ETag"]})
    s3.complete_multipart_upload(Bucket="archive", Key="a.mp4", UploadId=upload, MultipartUpload={"Parts": parts})
    bucket = open_bucket("s3://archive", Settings())
    (item,) = bucket.list()
    assert item.fingerprint.endswith("-2")
    with bucket.fetched("a.mp4", item.fingerprint, tmp_path, 0.0) as path:
        assert path.stat().st_size == item.size_bytes == (5 << 20) + 1000


def test_a_lake_on_s3_is_written_read_queried_and_maintained(s3, result, monkeypatch):
    monkeypatch.setattr("tasks.lake.maintain.SMALL_FILES", 4)
    lake = Lake("s3://lake/the lake ü")
    create_lake(lake)
    create_lake(lake)
    for n in range(4):
        made = result(f"hello number{n}", key=f"{n}.mp4", video_id=f"{n:020d}")
        commit(lake, [made], run_id="r", device="cpu")
    commit(lake, [result("hello again", key="0.mp4", video_id=f"{0:020d}")], run_id="r", device="cpu")
    rows = connect(lake).execute("SELECT word, count(*) FROM words GROUP BY ALL ORDER BY 2 DESC, 1 LIMIT 2").fetchall()
    assert rows == [("hello", 4), ("again", 1)]
    answer = run_query(lake, "SELECT count(*) AS n FROM videos_all", seconds=30, memory_mb=512, rows=10)
    assert answer.rows.to_pylist() == [{"n": 5}]
    done = maintain(lake, keep_generations=1, grace_h=0)
    assert (done.expired_generations, done.problems) == (1, [])
    assert done.compacted["words"] > 0
    assert check(lake) == []
    assert connect(lake).execute("SELECT count(*) FROM words").fetchone() == (8,)


@pytest.mark.long
def test_commands_work_on_a_lake_on_s3(s3, tmp_path):
    for name in ("unsorted/clouds.mp4", "sport/cup-final.mov"):
        s3.upload_file(str(BUCKET / name), "archive", name)
    environment = command_environment(tmp_path, NIGHTSCRIBE_LAKE="s3://lake/here")

    def say(*arguments: str) -> dict:
        done = nightscribe(*arguments, "--json", cwd=REPO, env=environment)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    assert say("index", "s3://archive")["indexed"] == 1
    assert say("index", "s3://archive")["unchanged"] == 2
    (word, *_), *_ = (
        connect(Lake("s3://lake/here")).execute("SELECT word FROM words ORDER BY length(word) DESC").fetchall()
    )
    assert say("search", word)["total_videos"] == 1
    assert say("status")["videos"] == {"indexed": 1, "no_audio": 1}


def test_a_lake_that_does_not_answer_is_said_so(s3, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(StorageBusy, match="does not answer"):
        Lake("s3://lake/away").check_version()


def test_a_lake_that_may_not_be_made_is_said_so(s3):
    with pytest.raises(LakeNotWritable, match="cannot be written"):
        create_lake(Lake("s3://nowhere/lake"))
