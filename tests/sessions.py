"""Sessions whose steps a test takes itself, on clips cut from the sample archive."""

from __future__ import annotations

import contextlib
import functools
import subprocess
import wave
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from conftest import BUCKET, REPO
from made_media import make

from tasks.machine.scratch import run_folder
from tasks.runs import pipeline
from tasks.runs.pipeline import Batch
from tasks.runs.report import RunReport
from tasks.runs.session import Session, open_session
from tasks.settings import Settings

SOURCE = BUCKET / "entertainment" / "film-festival.mkv"
RATE = 16_000


def cut(target: Path, seconds: float) -> None:
    """So many seconds of a video's sound, from its beginning and again from there, in a file."""
    if target.suffix != ".wav":
        make("-stream_loop", "-1", "-t", str(seconds), "-i", SOURCE, "-vn", "-ac", "1", "-ar", "16000", target)
        return
    pcm = np.resize(_sound(), round(seconds * RATE))
    with wave.open(str(target), "wb") as file:
        file.setparams((1, 2, RATE, len(pcm), "NONE", ""))
        file.writeframes(pcm.tobytes())


@functools.cache
def _sound() -> np.ndarray:
    """The samples of the video, int16: to start ffmpeg takes longer than most of what tests do with a short clip."""
    command = ["ffmpeg", "-v", "error", "-i", str(SOURCE), "-vn", "-ac", "1", "-ar", str(RATE), "-f", "s16le", "-"]
    return np.frombuffer(subprocess.run(command, capture_output=True, check=True).stdout, np.int16)


@contextlib.contextmanager
def session_on(bucket: Path, tmp_path: Path, **options) -> Iterator[Session]:
    """A session whose steps a test takes itself."""
    given = {"lake": str(tmp_path / "lake"), "scratch": tmp_path / "scratch", "scratch_free_gb": 0.0, "attempts": 1}
    given["catalog"] = REPO / "data/models/catalog.toml"
    asked = {name: options.pop(name) for name in ("retry_failed", "refresh", "stages", "only") if name in options}
    settings = Settings(**(given | options))
    session = open_session(str(bucket), settings, **asked)
    session.pipeline.final_pass = True  # many clips of tests are the same
    with run_folder(settings.scratch, session.run_id):
        try:
            yield session
        finally:
            session.pipeline.close()


def through(session: Session, batch: Batch) -> Batch:
    run = session.pipeline
    return pipeline.finish(run, pipeline.compute_emissions(run, pipeline.prepare(run, batch)))


def work_through(session: Session) -> RunReport:
    """The steps of a run as its flow takes them; returns its report."""
    session.pipeline.final_pass = False
    if session.scan.gone:
        session.committed(session.pipeline.commit(session.pipeline.gone(session.scan.gone)))
    if again := session.refreshed():
        session.committed(session.pipeline.commit(pipeline.refresh(session.pipeline, again)))
    for batches in (session.batches, session.late_batches):
        for batch in list(batches()):
            session.committed(pipeline.commit_batch(session.pipeline, through(session, batch)))
    return session.close("done")


def words_of(batch: Batch) -> dict[str, list[str]]:
    return {item.work.key: [w.word for w in item.result.words] for item in batch.items if item.result}
