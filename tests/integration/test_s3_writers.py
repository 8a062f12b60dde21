"""Several processes on one lake on an S3 server, while another maintains it. Eight of them, and five minutes."""

from __future__ import annotations

import pytest
from s3_server import s3  # noqa: F401
from test_writers import write_and_maintain

from tasks.lake.create import create_lake
from tasks.lake.store import Lake

pytestmark = [
    pytest.mark.long,
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def test_writers_and_maintenance_on_s3_lose_nothing_and_keep_nothing_twice(s3, tmp_path):
    lake = Lake("s3://lake/here")
    create_lake(lake)
    committed = write_and_maintain(lake, tmp_path, seconds=300)
    assert committed > 50
