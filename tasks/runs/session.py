"""An index run before and around its batches: settings checked, bucket scanned, work cut into batches, a report kept."""

from __future__ import annotations

import logging
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tasks.errors import (
    DecoderDied,
    Misconfigured,
    NightscribeError,
    RunStopped,
    StorageBusy,
    Unexpected,
    translate_errors,
)
from tasks.lake.create import create_lake
from tasks.lake.store import Lake
from tasks.lake.views import Snapshot, connect
from tasks.models.catalog import ModelSet, find_set
from tasks.records import Object, Recipes, Result, VideoTask
from tasks.runs.pipeline import Batch, Pipeline, PreparedVideo, discard
from tasks.runs.report import RunReport
from tasks.runs.scan import Scan, scan
from tasks.settings import Settings
from tasks.sources.bucket import Bucket, open_bucket
from tasks.sources.metadata import make_metadata
from tasks.stages.recipes import recipes
from tasks.stages.registry import STAGES

log = logging.getLogger("nightscribe")
GIVE_UP_AFTER = 3
REFRESHED_VIDEOS, REFRESHED_S = 2000, 100 * 3600.0  # of a part that is made again from the lake
BYTES_PER_S = 60_000.0  # a guess at a video's rate, only to cut batches


@dataclass
class Session:
    """One index run. `work` is what remains after --limit; `outcome` is there from its end on, `failure` is what broke it off.

    Without `sync`, Elasticsearch is left as it is.
    """

    settings: Settings
    bucket: Bucket
    lake: Lake
    models: ModelSet
    recipes: Recipes
    scan: Scan
    work: list[VideoTask]
    report: RunReport
    pipeline: Pipeline
    listeners: list[Callable[[Sequence[Result]], None]] = field(default_factory=list)
    started: float = field(default_factory=time.monotonic)
    lost_in_a_row: int = 0
    sync: bool = True
    outcome: str | None = None
    failure: BaseException | None = None

    @property
    def run_id(self) -> str:
        return self.report.run_id

    @property
    def has_work(self) -> bool:
        return bool(self.work or self.scan.gone)

    def fresh(self) -> list[VideoTask]:
        """Videos whose object must be read: to hear its words, or for another stage."""
        return [item for item in self.work if item.reads_object]

    def refreshed(self) -> list[VideoTask]:
        """Videos of which the lake has all that is needed, itself or under another name."""
        return [item for item in self.work if not item.reads_object]

    def warm_up(self) -> None:
        """Load what the fresh work will need, if there is any."""
        if any(item.is_transcribed for item in self.fresh()):
            self.pipeline.warm_up()

    def batches(self) -> Iterator[Batch]:
        """The fresh work in batches by number and by likely length."""
        fresh = self.fresh()
        if any(item.is_transcribed for item in fresh):
            self.pipeline.require_models()
        sizes = Counter(work.size_bytes for work in fresh)
        self.pipeline.shared_sizes = frozenset(size for size, n in sizes.items() if n > 1)
        return (Batch(n, chunk) for n, chunk in enumerate(cut_batches(fresh, self.settings)))

    def late_batches(self) -> Iterator[Batch]:
        """When all other batches are in the lake: the videos whose content one of those had too. They take over its words, and
        are heard where it has none."""
        self.pipeline.final_pass = True
        late = [item.work for item in self.pipeline.waiting.values()]
        return (Batch(n, chunk) for n, chunk in enumerate(cut_batches(late, self.settings)))

    def committed(self, results: Sequence[Result]) -> None:
        """Count results that are in the lake, and say so."""
        self.lost_in_a_row = 0
        self.report.add(results)
        for result in results:
            if result.status == "failed":
                log.debug("%s: failed, %s: %s", result.work.key, result.reason, result.error)
            elif result.status != "gone":
                log.debug("%s: %s, %d words", result.work.key, result.status, result.n_words)
        for listener in self.listeners:
            listener(results)

    def split_batch(self, batch: Batch, error: NightscribeError) -> list[Batch]:
        """The videos of a batch as batches of their own, if one of them may be to blame for its error."""
        if len(batch.work) == 1 or not _blames_a_video(error):
            return []
        log.warning("A batch of %d videos failed, and is done again video by video: %s", len(batch.work), error)
        known = {item.work.video_id: item for item in batch.items}
        singles = [Batch(batch.number, [work]) for work in batch.work]
        for single in singles:  # what was fetched and decoded is not fetched again
            item = known.get(single.work[0].video_id)
            single.items = [item] if item else []
        return singles

    def give_up(self, batch: Batch, error: NightscribeError) -> None:
        """A batch that failed for good: its videos are due again in the next run, and one to blame gets its row.

        Raises:
            RunStopped: it was the third in a row. What stands in its way stands in the way of the others too.
        """
        log.error(
            "A batch of %d videos was given up: %s%s", len(batch.work), error, f" {error.next}" * bool(error.next)
        )
        for item in batch.items:
            discard(item)
        if len(batch.work) == 1 and _blames_a_video(error):
            item = PreparedVideo(batch.work[0], make_metadata(batch.work[0].key, {}, {}))
            self.pipeline.waiting.pop(item.work.video_id, None)
            self.report.add(self.pipeline.commit([self.pipeline.failed(item, error)]))
        else:
            late = () if self.pipeline.final_pass else self.pipeline.waiting
            self.report.lose([work for work in batch.work if work.video_id not in late], error)
        self.lost_in_a_row += 1
        if self.lost_in_a_row >= GIVE_UP_AFTER:
            kept = sum(self.report.done.values())
            raise RunStopped(
                f"{GIVE_UP_AFTER} batches in a row were given up, so the run was ended. "
                f"{kept} videos of it are in the lake. The last error: {error}",
                next="Mend the cause; then the same command goes on from there.",
            )

    def let_search_follow(self, sync: Callable[[str, Settings], dict[str, Any]]) -> None:
        """Bring Elasticsearch up to the lake, where one is set. What it cannot take now, the next sync brings."""
        if not self.settings.elasticsearch_url:
            return
        if not self.sync:
            self.report.left_behind()
            return
        try:
            with translate_errors():
                self.report.searchable(sync(self.lake.uri, self.settings))
        except NightscribeError as error:
            self.report.not_searchable(error)

    def close(self, outcome: str) -> RunReport:
        """End the decoders, clean up scratch, write the row of `runs` (a run that did nothing writes none)."""
        self.pipeline.close()
        total = time.monotonic() - self.started
        self.report.seconds["overhead"] = total - self.pipeline.clock.seconds
        self.report.seconds["total"] = total
        if self.pipeline.ran_on:
            self.report.spent(self.pipeline.ran_on, self.recipes, self.settings)
        if self.has_work:
            row = self.report.row(datetime.now(UTC), outcome)
            try:
                self.lake.append("runs", [row], batch_id=f"run-{self.run_id}")
            except StorageBusy as error:
                if outcome == "done":
                    raise
                log.warning("The row of this run is missing in the table runs: %s", error)  # what ended it says more
        self.outcome = outcome
        return self.report


def _blames_a_video(error: NightscribeError) -> bool:
    """Whether one video can be the cause, rather than the lake or the machine."""
    return isinstance(error, (DecoderDied, Unexpected))


def cut_refreshed(work: Sequence[VideoTask]) -> Iterator[list[VideoTask]]:
    """Parts whose words can be in memory together, in the order in which the lake keeps them."""
    in_order = sorted(work, key=lambda item: item.source_id or item.video_id)
    return _cut(in_order, REFRESHED_VIDEOS, REFRESHED_S)


def cut_batches(work: Sequence[VideoTask], settings: Settings) -> Iterator[list[VideoTask]]:
    """At most `batch_videos` videos, and about `batch_media_s` seconds by their sizes."""
    return _cut(work, settings.batch_videos, settings.batch_media_s)


def _cut(work: Sequence[VideoTask], videos: int, media_s: float) -> Iterator[list[VideoTask]]:
    chunk: list[VideoTask] = []
    seconds = 0.0
    for item in work:
        length = item.size_bytes / BYTES_PER_S
        if chunk and (len(chunk) >= videos or seconds + length > media_s):
            yield chunk
            chunk, seconds = [], 0.0
        chunk.append(item)
        seconds += length
    if chunk:
        yield chunk


def checked_stages(names: Sequence[str], on: Recipes, *, only: bool) -> tuple[str, ...]:
    """Stages that were asked for.

    Raises:
        Misconfigured: one is unknown or off, or `only` has nothing to go with.
    """
    for name in names:
        if name not in STAGES.names:
            raise Misconfigured(f"There is no stage {name!r}.", next=f"The stages are {', '.join(STAGES.names)}.")
        if name not in on.hashes:
            raise Misconfigured(f"The stage {name} is off.", next="Name its model in the set or in the settings.")
    if only and not names:
        raise Misconfigured("--only needs --stages: nothing else would be done.", next="--stages topics --only")
    return tuple(names)


def open_session(
    bucket_uri: str,
    settings: Settings,
    *,
    limit: int | None = None,
    retry_failed: bool = False,
    refresh: bool = False,
    stages: Sequence[str] = (),
    only: bool = False,
    remember: Sequence[str] = (),
    create: bool = True,
    objects: Sequence[Object] | None = None,
    sync: bool = True,
) -> Session:
    """Check everything that can be wrong before any work, and scan. With `create` false nothing is written (--plan).

    With `objects`, those are the bucket, and it is not listed.

    Raises:
        Misconfigured: bucket, lake, model set or hot words. StorageBusy: the bucket did not answer.
    """
    models = find_set(settings)
    made = recipes(models, settings)
    bucket = open_bucket(bucket_uri, settings)
    lake = Lake(settings.lake)
    lake.check_version()
    if create:
        create_lake(lake)
    connection = connect(lake, Snapshot.of(lake), lean=True, history=False) if lake.exists() else None
    found = scan(
        bucket,
        connection,
        made,
        settings,
        now=datetime.now(UTC),
        refresh=refresh,
        stages=checked_stages(stages, made, only=only),
        only=only,
        retry_failed=retry_failed,
        objects=objects,
        remember=remember,
    )
    run_id = uuid.uuid4().hex[:12]
    report = RunReport(run_id, lake.uri, bucket.uri, datetime.now(UTC))
    report.found(found)
    report.only = tuple(stages) if only else ()
    work = found.work if limit is None else found.work[:limit]
    pipeline = Pipeline(bucket, lake, settings, models, made, run_id)
    return Session(settings, bucket, lake, models, made, found, work, report, pipeline, sync=sync)
