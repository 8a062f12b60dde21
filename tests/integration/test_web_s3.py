"""The web app over a bucket and a lake on an S3 server: media in ranges, pictures, pages."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest
from conftest import BUCKET
from s3_server import s3  # noqa: F401
from web_archive import BANK, SAID, serving, video

from tasks.lake.commit import commit
from tasks.lake.create import create_lake
from tasks.lake.store import Lake
from tasks.settings import Settings

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # botocore leaves sockets to the garbage collector
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
KEY = "a bänk %20+.mp4"


def test_pages_and_media_come_from_s3(s3, tmp_path):
    source = BUCKET / "business" / "interest-rates.mp4"
    s3.upload_file(str(source), "archive", f"talks/{KEY}")
    lake = Lake("s3://lake/nightscribe")
    create_lake(lake)
    made = video(SAID, BANK, KEY, tmp_path)
    commit(
        lake, [replace(made, bucket="s3://archive/talks", bucket_uri="s3://archive/talks")], run_id="r", device="cpu"
    )
    settings = Settings(lake=lake.uri, scratch=tmp_path / "scratch", scratch_free_gb=0)
    whole = source.read_bytes()
    with serving(settings) as address, httpx.Client(base_url=address, timeout=30) as client:
        assert "interest rates" in client.get("/?q=governor").text
        part = client.get(f"/media/{BANK}/original", headers={"Range": "bytes=100-199"})
        assert (part.status_code, part.content) == (206, whole[100:200])
        assert client.get(f"/media/{BANK}/original").content == whole
        picture = client.get(f"/media/{BANK}/frame.jpg?at_ms=3000")
        assert picture.content[:2] == b"\xff\xd8"
        kept = client.get(f"/media/{BANK}/frame.jpg?at_ms=3000", headers={"If-None-Match": picture.headers["etag"]})
        assert kept.status_code == 304
        fetched = tmp_path / "scratch" / "web" / "fetched"
        assert [path.stat().st_size for path in fetched.iterdir()] == [len(whole)]
        s3.delete_object(Bucket="archive", Key=f"talks/{KEY}")
        gone = client.get(f"/media/{BANK}/original")
        assert (gone.status_code, gone.json()["error"]["code"]) == (404, "object_changed")
        assert client.get(f"/watch/{BANK}").status_code == 200


def test_larger_objects_are_not_fetched_for_a_picture(s3, tmp_path):
    s3.upload_file(str(BUCKET / "business" / "interest-rates.mp4"), "archive", KEY)
    lake = Lake(str(tmp_path / "lake"))
    create_lake(lake)
    made = video(SAID, BANK, KEY, tmp_path)
    commit(lake, [replace(made, bucket="s3://archive", bucket_uri="s3://archive")], run_id="r", device="cpu")
    settings = Settings(lake=lake.uri, scratch=tmp_path / "scratch", scratch_free_gb=0, web_picture_mb=0)
    with serving(settings) as address:
        refused = httpx.get(f"{address}/media/{BANK}/frame.jpg")
        assert refused.status_code == 422
        assert "larger than 0 MB" in refused.json()["error"]["message"]
