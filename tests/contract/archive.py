"""A small archive that was really indexed, for the tests of every stage: two talks with pictures, a tone, and pictures without sound."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cards import card
from conftest import REPO
from dual_encoders import saved
from made_media import make
from sessions import cut, session_on, work_through
from sound_encoders import saved as saved_sounds

from tasks.lake.schema import OF_VIDEOS
from tasks.lake.store import Lake
from tasks.lake.views import connect
from tasks.runs.report import RunReport
from tasks.stages.registry import STAGES

TALKS = ("a.mkv", "b.mkv")


class Archive:
    """`bucket`, `lake` and `scratch` in a folder; the bucket has a name, so that it may be copied. Its catalogue has a model for
    every stage."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.bucket, self.lake = folder, folder / "bucket", Lake(str(folder / "lake"))
        self.catalog = folder / "catalog.toml"
        if not self.catalog.exists():
            demo = REPO / "data/models"
            models = {
                **{
                    role: demo / f"{name}-demo"
                    for role, name in (("acoustic", "asr"), ("lm", "lm"), ("topics", "topics"))
                },
                "pictures": saved("clip", folder / "clip"),
                "sounds": saved_sounds("clap", folder / "clap", scale=10_000.0),
            }
            lines = [f'{role} = "{path}"' for role, path in models.items()]
            self.catalog.write_text("\n".join(["[demo]", 'language = "en"', 'licence = "none"', *lines]) + "\n")

    def fill(self) -> None:
        self.bucket.mkdir()
        title = card(self.folder / "title.png", "Harbour at dawn")
        for name, seconds in zip(TALKS, (4.0, 5.0), strict=True):
            sound = self.folder / "sound.wav"
            cut(sound, seconds)
            film = ("-loop", "1", "-r", "5", "-t", str(seconds), "-i", title)
            make("-i", sound, *film, "-c:a", "copy", "-map", "0", "-map", "1", self.bucket / name)
        for name, source in (("tone.wav", "sine=330:d=2"), ("silent.mp4", "testsrc=s=64x64:r=5:d=2")):
            command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", source, self.bucket / name]
            subprocess.run([str(part) for part in command], check=True, stdin=subprocess.DEVNULL)

    def copied(self, folder: Path) -> Archive:
        """The same archive elsewhere."""
        shutil.copytree(self.folder / "lake", folder / "lake")
        return self.unindexed(folder)

    def unindexed(self, folder: Path) -> Archive:
        """The same bucket without a lake."""
        shutil.copytree(self.bucket, folder / "bucket")
        shutil.copy(self.catalog, folder)
        return Archive(folder)

    def session(self, **asked: Any) -> Any:
        return session_on(
            self.bucket, self.folder, bucket_id="contract", decoders=1, catalog=self.catalog, device="cpu",
            **{"screen_lines": {"reader": "rapidocr"}} | asked,
        )  # fmt: skip

    def run(self, **asked: Any) -> RunReport:
        """A whole run."""
        with self.session(**asked) as session:
            return work_through(session)

    def due(self, **asked: Any) -> dict[str, tuple[str, ...]]:
        """The stages that a run would make, by key."""
        with self.session(**asked) as session:
            return {work.key: work.stages for work in session.work}

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return connect(self.lake).execute(sql).fetchall()

    def files(self) -> Mapping[str, set[str]]:
        """The files of every table that has rows of a video."""
        return {name: set(self.lake.files(name)) for name in ("videos", *OF_VIDEOS)}

    def having(self, stage: str) -> set[str]:
        """The keys of videos that have something of a stage."""
        found = self.rows(
            f"SELECT key FROM current_{stage} JOIN videos USING (video_id) WHERE current_{stage}.status = 'done'"
        )
        return {key for (key,) in found}


def tables_of(stages: tuple[str, ...]) -> set[str]:
    return {table.name for name in stages for table in STAGES[name].tables}
