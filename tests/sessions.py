"""Sessions whose steps a test takes itself, on clips cut from the sample archive."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path

from conftest import BUCKET, REPO

from tasks.machine.scratch import run_folder
from tasks.runs import pipeline
from tasks.runs.pipeline import Batch
from tasks.runs.report import RunReport
from tasks.runs.session import Session, open_session
from tasks.settings import Settings


def cut(target: Path, seconds: float) -> None:
    source = BUCKET / "entertainment" / "film-festival.mkv"
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-y",
        "-stream_loop",
        "-1",
        "-t",
        seconds,
        "-i",
        source,
        "-vn",
        "-ac",
        "1",
        "-ar",
        "16000",
        target,
    ]
    subprocess.run([str(part) for part in command], check=True, stdin=subprocess.DEVNULL)


@contextlib.contextmanager
def session_on(bucket: Path, tmp_path: Path, **options) -> Iterator[Session]:
    """A session whose steps a test takes itself."""
    given = {"lake": str(tmp_path / "lake"), "scratch": tmp_path / "scratch", "scratch_free_gb": 0.0, "attempts": 1}
    asked = {name: options.pop(name) for name in ("retry_failed", "refresh", "stages", "only") if name in options}
    settings = Settings(catalog=REPO / "data/models/catalog.toml", **(given | options))
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
