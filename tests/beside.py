"""A bucket of videos with subtitles beside them, and a lake that knows what they say."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from conftest import rarely
from subtitled import files, say, video_id_of, write  # noqa: F401

from tasks.erasure.forget import find_videos, forget
from tasks.settings import Settings

# As an earlier version wrote them.
OLD = {
    "vtt": "WEBVTT\n\nNOTE made by Nightscribe; machine transcript, language en\n\n00:00.000 --> 00:01.000\nold words\n",
    "srt": "1\n00:00:00,000 --> 00:00:01,000\nold words\n",
}
LEDGER = ".nightscribe-subtitles"
both = pytest.mark.parametrize("format", ["vtt", *rarely("srt")])


class Killed(BaseException):
    """In place of SIGKILL: nothing of the program handles it."""


class Bucket:
    """A folder of videos, and a lake that knows what they say."""

    def __init__(self, folder: Path, lake, say) -> None:
        self.folder, self.lake, self.put = folder, lake, say
        self.generations = itertools.count(10**16, 10**9)
        folder.mkdir()

    def id(self, key: str) -> str:
        return video_id_of(key, self.folder.as_uri())

    def say(self, key: str, text: str = "hello world", **fields: Any) -> str:
        path = self.folder / key
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"video")
        return self.put(key, text, bucket=self.folder.as_uri(), last_generation=next(self.generations), **fields)

    def lose(self, key: str) -> None:
        """The video leaves the bucket, and a scan sees that."""
        self.say(key, "", status="gone")
        (self.folder / key).unlink()

    def by_earlier_version(self, name: str) -> None:
        path = self.folder / name
        path.write_text(OLD[name[-3:]])
        if name.endswith(".srt"):
            with (path.parent / LEDGER).open("a") as ledger:
                ledger.write(json.dumps(path.name) + "\n")

    def write(self, *only: str, format: str = "vtt", **settings: Any) -> dict[str, Any]:
        return write(self.lake, None, format, [self.id(key) for key in only] or None, **settings)

    def forget(self, *keys: str) -> int:
        settings = Settings(lake=self.lake.uri, scratch=self.folder.parent / "scratch")
        certificate = forget(self.lake, settings, find_videos(self.lake, keys), names=keys)
        assert certificate.complete, certificate.left
        return certificate.subtitles

    @property
    def subtitles(self) -> list[str]:
        return [name for name in files(self.folder) if name.endswith((".vtt", ".srt", ".part"))]

    def words(self, name: str) -> str:
        return (self.folder / name).read_text().splitlines()[-1]


@pytest.fixture
def bucket(tmp_path, lake, say) -> Bucket:
    return Bucket(tmp_path / "bucket ü", lake, say)
