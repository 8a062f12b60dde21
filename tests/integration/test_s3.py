"""A bucket on an S3 server: listed, read into scratch, indexed; nothing is left in scratch."""

from __future__ import annotations

import os

import pytest
from conftest import BUCKET, REPO

pytestmark = [
    # moto and botocore leave sockets to the garbage collector
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]


@pytest.fixture
def s3(monkeypatch):
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
    client.create_bucket(Bucket="archive")
    yield client
    client.close()
    server.stop()


def test_a_bucket_on_s3_is_indexed_and_a_changed_object_is_seen(s3, tmp_path):
    from tasks import pipeline
    from tasks.scratch import run_folder
    from tasks.session import open_session
    from tasks.settings import Settings

    for name in ("unsorted/clouds.mp4", "unsorted/clouds.json", "unsorted/quiet room.mp4"):
        s3.upload_file(str(BUCKET / name), "archive", f"talks/{name}")
    s3.put_object(Bucket="archive", Key="elsewhere/other.mp4", Body=b"not in the prefix")
    settings = Settings(
        lake=str(tmp_path / "lake"),
        scratch=tmp_path / "scratch",
        scratch_free_gb=0,
        catalog=REPO / "data/models/catalog.toml",
    )

    session = open_session("s3://archive/talks", settings)
    assert sorted(item.key for item in session.work) == ["unsorted/clouds.mp4", "unsorted/quiet room.mp4"]
    with run_folder(settings.scratch, session.run_id):
        for batch in session.batches():
            p = session.pipeline
            heard = pipeline.listen(p, pipeline.prepare(p, batch))
            session.committed(pipeline.commit_batch(p, pipeline.finish(p, heard)))
        report = session.close("done")
    assert (report.done["no_audio"], report.done["no_speech"]) == (1, 1)
    assert [path.name for path in (tmp_path / "scratch").iterdir() if not path.name.endswith(".lock")] == []

    assert not open_session("s3://archive/talks", settings).has_work
    s3.upload_file(str(BUCKET / "sport/cup-final.mov"), "archive", "talks/unsorted/clouds.mp4")
    again = open_session("s3://archive/talks", settings)
    assert [(item.key, item.why) for item in again.work] == [("unsorted/clouds.mp4", "changed")]


def test_a_missing_s3_bucket_is_said_before_any_work(s3, tmp_path):
    from tasks.bucket import open_bucket
    from tasks.errors import BucketNotFound
    from tasks.settings import Settings

    with pytest.raises(BucketNotFound, match="does not exist"):
        open_bucket("s3://nowhere/talks", Settings())
