"""A video to be forgotten, and a look at every byte for what was said in it."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from conftest import REPO

from tasks.lake.store import Lake
from tasks.lake.views import connect
from tasks.settings import Settings

KEY = "private/zebulon-hearing.mp4"
ID = KEY.encode().hex()[:20].ljust(20, "0")
SECRETS = ("zanzibar", "quixotic", "confession", "zebulon")
EARLIER = "quixotic people in zanzibar"
NOW = "the quixotic woman came to zanzibar again"


def rows(lake: Lake, sql: str):
    return connect(lake).execute(sql).fetchall()


@pytest.fixture
def settings(lake, tmp_path) -> Settings:
    return Settings(lake=lake.uri, scratch=tmp_path / "scratch", catalog=REPO / "data/models/catalog.toml")


def found(folder: Path) -> set[str]:
    """The secrets in any file of a folder or in its name: in its bytes, and in its columns and their statistics."""
    seen = set()
    for path in folder.rglob("*"):
        said = str(path.relative_to(folder)).lower().encode()
        if path.is_file():
            said += path.read_bytes().lower()
        if path.suffix == ".parquet":
            file = pq.ParquetFile(path)
            said += repr(file.read().to_pylist()).lower().encode()
            for group in range(file.num_row_groups):
                for column in range(file.metadata.num_columns):
                    said += repr(file.metadata.row_group(group).column(column).statistics).lower().encode()
        seen |= {secret for secret in SECRETS if secret.encode() in said}
    return seen


def nothing_is_left(lake: Lake, tmp_path: Path) -> None:
    for folder in (Path(lake.uri), tmp_path / "scratch", tmp_path / "subtitles"):
        assert found(folder) == set(), folder


class Killed(BaseException):
    """In place of SIGKILL: nothing of the program handles it."""
