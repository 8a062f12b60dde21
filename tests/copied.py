"""A folder of videos of which some are copies, indexed without a model."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import REPO

from tasks.erasure.forget import find_videos, forget, forget_overdue
from tasks.lake.commit import commit
from tasks.lake.store import Lake
from tasks.lake.views import connect
from tasks.models.catalog import find_set
from tasks.runs import pipeline
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
