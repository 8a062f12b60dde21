"""What a change to one stage costs a large archive: bytes, files and seconds, beside writing each video whole again."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nightscribe.bench.made_lake import generate
from nightscribe.bench.table import Table
from tasks.lake.store import Lake
from tasks.lake.views import connect
from tasks.models.catalog import find_set
from tasks.records import Outcome, Result, Topic, VideoTask
from tasks.runs.pipeline import Pipeline, refresh
from tasks.runs.pipeline.known import load_current
from tasks.runs.session import cut_refreshed
from tasks.settings import Settings
from tasks.sources.bucket import open_bucket
from tasks.stages.base import Input, Rows
from tasks.stages.recipes import recipes
from tasks.stages.registry import STAGES

WORDS_PER_VIDEO = 100
EDITED = 1000
WHOLE = 20_000  # videos that are written whole, for comparison
TABLES = ("words", "cues", "passages")


class Sorter:
    """A topic model that takes no time, so that what is measured is the rest."""

    def make(self, video: Input) -> Mapping[str, Rows]:
        assert len(video.words) == WORDS_PER_VIDEO
        topic = Topic("video", 0, video.duration_ms, 1, "tech", 0.5, "other")
        return {"topics": [{name: getattr(topic, name) for name in Topic.__slots__}]}


def bench(*, full: bool) -> Table:
    """A new topic model for the whole archive, then titles that were edited."""
    videos = 1_000_000 if full else WHOLE
    table = Table(
        "stages",
        "A change to one stage of a large archive",
        ("", "videos", "seconds", "files", "MB written", "MB of words, cues, passages", "bytes a video"),
        settings=f"{videos:,} videos of {WORDS_PER_VIDEO} words; a topic model that takes no time; the last row is each video written "
        "as a whole new generation, as a program without stages does it",
    )
    with tempfile.TemporaryDirectory(prefix="nightscribe-bench-") as temporary:
        folder = Path(temporary)
        lake = Lake(str(folder / "lake"))
        generate(lake, videos, WORDS_PER_VIDEO)
        known = connect(lake).execute("SELECT video_id, key FROM videos ORDER BY video_id").fetchall()
        (folder / "bucket").mkdir()
        pipeline = _pipeline(lake, folder)
        stale = [_work(video_id, key, "stale", ("topics",)) for video_id, key in known]
        _measure(table, lake, "a new topic model", len(stale), lambda: _refreshed(pipeline, stale))
        edited = [_edited(folder, video_id, key) for video_id, key in known[:: max(1, len(known) // EDITED)][:EDITED]]
        pipeline = _pipeline(lake, folder)
        _measure(table, lake, "titles edited", len(edited), lambda: _refreshed(pipeline, edited))
        whole = stale[:WHOLE]
        pipeline = _pipeline(lake, folder)
        _measure(table, lake, "written whole", len(whole), lambda: _rewritten(pipeline, whole))
    by = {name: figures["bytes"] / figures["videos"] for name, figures in table.figures.items()}
    table.settings += f"; {by['written whole'] / by['a new topic model']:.0f} times fewer bytes for a new topic model, "
    table.settings += f"{by['written whole'] / by['titles edited']:.0f} times for a title"
    return table


def _pipeline(lake: Lake, folder: Path) -> Pipeline:
    settings = Settings(lake=lake.uri, scratch=folder / "scratch", models="demo", device="cpu")
    models = find_set(settings)
    pipeline = Pipeline(
        open_bucket(str(folder / "bucket"), settings), lake, settings, models, recipes(models, settings), "bench"
    )
    pipeline._runners["topics"] = Sorter()
    return pipeline


def _work(video_id: str, key: str, why: Any, stages: tuple[str, ...], sidecar: str | None = None) -> VideoTask:
    return VideoTask(
        video_id, key, 2_000_000, "1-1", None, sidecar, "2-2" if sidecar else None, why, stages, reads_object=False
    )


def _edited(folder: Path, video_id: str, key: str) -> VideoTask:
    (folder / "bucket" / f"{key}.json").write_text(json.dumps({"title": f"Another title of {key}"}))
    return _work(video_id, key, "metadata", STAGES.to_make(["metadata"]), f"{key}.json")


def _refreshed(pipeline: Pipeline, work: Sequence[VideoTask]) -> None:
    for part in cut_refreshed(work):
        done = pipeline.commit(refresh(pipeline, part))
        assert len(done) == len(part)


def _rewritten(pipeline: Pipeline, work: Sequence[VideoTask]) -> None:
    connection = connect(pipeline.lake)
    for part in cut_refreshed(work):
        known = load_current(connection, [item.video_id for item in part], STAGES.names)
        results: list[Result] = []
        for made in refresh(pipeline, part):
            rows = known[made.work.video_id].rows
            outcomes = {
                stage.name: Outcome({table.name: rows.get(table.name, ()) for table in stage.tables}, 0.0)
                for stage in STAGES
            }
            results.append(
                replace(
                    made, beside=None, words=known[made.work.video_id].words, outcomes=outcomes | dict(made.outcomes)
                )
            )
        pipeline.commit(results)


def _measure(table: Table, lake: Lake, name: str, videos: int, change: Any) -> None:
    before = _files(lake)
    started = time.perf_counter()
    change()
    seconds = time.perf_counter() - started
    new = {file: size for file, size in _files(lake).items() if file not in before}
    size, text = _bytes(new.items()), _bytes((f, n) for f, n in new.items() if f.split("/")[0] in TABLES)
    table.add(
        name,
        f"{videos:,}",
        f"{seconds:.1f}",
        str(len(new)),
        f"{size / 1e6:.2f}",
        f"{text / 1e6:.2f}",
        f"{size / videos:,.0f}",
    )
    table.figures[name] = {
        "videos": videos,
        "seconds": round(seconds, 2),
        "files": len(new),
        "bytes": size,
        "text_bytes": text,
    }


def _files(lake: Lake) -> dict[str, int]:
    root = Path(lake.uri)
    return {str(path.relative_to(root)): path.stat().st_size for path in root.rglob("*") if path.is_file()}


def _bytes(files: Iterable[tuple[str, int]]) -> int:
    return sum(size for _, size in files)
