"""A lake whose videos say something, and their subtitle files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tasks.lake.commit import commit
from tasks.lake.store import Lake
from tasks.records import Result
from tasks.settings import Settings
from tasks.subtitles.files import write_subtitles


def video_id_of(key: str, bucket: str = "") -> str:
    return hashlib.sha256(f"{bucket}\0{key}".encode("utf-8", "surrogatepass")).hexdigest()[:20]


@pytest.fixture
def say(lake: Lake, result: Callable[..., Result]) -> Callable[..., str]:
    """Commits a video that says a text; returns its id."""

    def put(key: str, text: str = "hello world", *, bucket: str = "file:///nowhere", **fields: object) -> str:
        made = result(text, key=key, video_id=video_id_of(key, bucket), **fields)
        commit(lake, [replace(made, bucket=bucket, bucket_uri=bucket)], run_id="r", device="cpu")
        return video_id_of(key, bucket)

    return put


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out ü"


def write(
    lake: Lake, folder: Path | None, format: str = "vtt", video_ids: list[str] | None = None, **more: object
) -> dict:
    return write_subtitles(
        lake,
        folder=None if folder is None else str(folder),
        format=format,  # type: ignore[arg-type]
        settings=Settings(**more),  # type: ignore[arg-type]
        video_ids=video_ids,
    )


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
