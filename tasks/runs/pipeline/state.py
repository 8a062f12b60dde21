"""What passes through the steps, and what every step needs."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from tasks.errors import NightscribeError, Transient, Unexpected
from tasks.lake.commit import commit, forgotten_meanwhile, unshared
from tasks.lake.maintain import withdraw
from tasks.lake.store import Lake
from tasks.machine.hardware import hardware_of
from tasks.machine.scratch import ByteBudget
from tasks.media.frames import Pictures
from tasks.models.catalog import ModelSet
from tasks.records import Audio, Choice, Metadata, Probe, Recipes, Result, Source, Status, VideoTask, Word
from tasks.runs.pipeline.known import Seen
from tasks.runs.work_clock import WorkClock
from tasks.settings import Settings
from tasks.sources.bucket import Bucket
from tasks.sources.metadata import make_metadata
from tasks.speech.pool import DecoderPool
from tasks.stages.words.search import pool_of, require_writable

log = logging.getLogger("nightscribe")

if TYPE_CHECKING:  # torch takes four seconds to import, and a run without speech never needs it
    from tasks.runs.pipeline.making import Making
    from tasks.speech.acoustic import AcousticModel
    from tasks.speech.silence import Silence
    from tasks.stages.base import Runner, Stage


@dataclass
class Hearing:
    """A sound of a video on its way to words; `silence` is where nobody speaks, if that was looked for."""

    audio: Audio
    silence: Silence | None = None
    futures: list[Future[list[list[Word]]]] = field(default_factory=list)
    speech_frames: int = 0


@dataclass
class PreparedVideo:
    """One video on its way. `result` is set as soon as its outcome is certain.

    `hearings` are the sounds of it that are heard at once, one as a rule; `sources` those to hear after them if they have no
    word. `pictures` are its frames and `soundtrack` all that is to be heard, where stages ask for them; `faults` say why they could
    not be had.
    """

    work: VideoTask
    metadata: Metadata
    probe: Probe | None = None
    hearings: list[Hearing] = field(default_factory=list)
    choice: Choice | None = None
    pictures: Pictures | None = None
    soundtrack: Audio | None = None
    faults: dict[str, NightscribeError] = field(default_factory=dict)
    sources: tuple[Source, ...] = ()
    result: Result | None = None
    making: Making | None = None  # its stages, once its words are known
    warning: str | None = None
    notes: dict[str, str] = field(default_factory=dict)
    sha256: str | None = None
    copy: Path | None = None
    waits_for_duplicate: bool = False  # for the words of another video of this run with the same content
    seconds: dict[str, float] = field(default_factory=dict)


class Batch:
    """The items of one batch. No dataclass: Prefect would look into every word of it for futures."""

    def __init__(self, number: int, work: Sequence[VideoTask]) -> None:
        self.number = number
        self.work = list(work)
        self.items: list[PreparedVideo] = []
        self.heard = False

    def __repr__(self) -> str:
        return f"Batch({self.number}, {len(self.work)} videos)"


@dataclass
class Pipeline:
    """What every step needs. One a run; models and decoders are loaded when the first batch wants them."""

    bucket: Bucket
    lake: Lake
    settings: Settings
    models: ModelSet
    recipes: Recipes
    run_id: str
    low_priority: bool = False  # steps back for every other run on this machine
    shared_sizes: frozenset[int] = frozenset()  # of objects, each of several videos that this run hears
    waiting: dict[str, PreparedVideo] = field(
        default_factory=dict
    )  # by video, what waits until all others are in the lake
    final_pass: bool = False  # nothing waits any more
    clock: WorkClock = field(default_factory=WorkClock)
    stopped: threading.Event = field(default_factory=threading.Event)
    _pool: DecoderPool | None = None
    _lock: threading.RLock = field(default_factory=threading.RLock)
    _runners: dict[str, Runner] = field(default_factory=dict)
    _first: dict[tuple[int, str], str] = field(default_factory=dict)

    @property
    def scratch(self) -> Path:
        """This run's folder, which `tasks.machine.scratch.run_folder` makes and removes."""
        return self.settings.scratch / f"run-{self.run_id}"

    @cached_property
    def room(self) -> ByteBudget:
        """Bounds the copies of objects in scratch."""
        return ByteBudget(self.settings.scratch_copies_gb * 1e9)

    @cached_property
    def seen(self) -> Seen:
        """The lake, for what stages are made from."""
        return Seen(self.lake)

    @cached_property
    def device(self) -> str:
        """`cpu` or `cuda:N`; which GPU lane a batch waits for."""
        from tasks.models.load import choose_device

        return choose_device(self.settings.device)

    @property
    def ran_on(self) -> str | None:
        """The device, if this run has asked for it."""
        return self.__dict__.get("device")

    @cached_property
    def acoustic(self) -> AcousticModel:
        """The acoustic model, loaded once for the process."""
        from tasks.stages.emissions.runner import acoustic_of

        return acoustic_of(self.models, self.settings)

    @cached_property
    def timing(self) -> AcousticModel | None:
        """The model by which words are timed, if the set has one."""
        from tasks.stages.emissions.runner import timing_of

        return timing_of(self.models, self.settings)

    def runner(self, stage: Stage) -> Runner:
        """What makes the rows of a stage, loaded when it is first wanted."""
        with self._lock:
            if stage.name not in self._runners:
                assert stage.load is not None
                self._runners[stage.name] = stage.load(stage.options(self.models, self.settings), self.device)
            return self._runners[stage.name]

    def is_duplicate(self, work: VideoTask, sha256: str) -> bool:
        """Whether another video of this run has the same content and came first."""
        if self.final_pass or not work.size_bytes or work.size_bytes not in self.shared_sizes:
            return False
        with self._lock:
            return self._first.setdefault((work.size_bytes, sha256), work.video_id) != work.video_id

    def pool(self) -> DecoderPool:
        """The beam search processes, started on first use."""
        with self._lock:
            if self._pool is None:
                self._pool = pool_of(self.models, self.settings, self.acoustic)
            return self._pool

    def require_models(self) -> None:
        """Load the acoustic model, before any video is touched.

        Raises:
            ModelNotAvailable: it is not here, is none that can be used, or cannot write the language model's words.
        """
        require_writable(self.models, self.acoustic)
        _ = self.timing

    def warm_up(self) -> None:
        """Load the acoustic model and start the decoders now. What is wrong with them is said where they are needed."""
        with contextlib.suppress(Exception):
            self.pool().submit([])

    def close(self) -> None:
        """End the decoders, and let go of the lake."""
        self.seen.close()
        if self._pool is not None:
            self._pool.close()

    def commit(self, results: Sequence[Result]) -> list[Result]:
        """Append results to the lake, however they came about; returns them with their generations.

        A redo that failed leaves no row: what the lake has of that video is better, and it stays due.
        """
        kept = [result for result in results if not _failed_redo(result)]
        forgotten = forgotten_meanwhile(self.lake, kept)
        kept = [result for result in kept if result.work.video_id not in forgotten]
        rows = self._commit(kept) if kept else []
        # Whoever was forgotten after that look may have come back by these rows; later ones are seen by who forgets.
        late = forgotten_meanwhile(self.lake, kept, copies=False)
        if late:
            self._forget(sorted(late))
            rows = [result for result in rows if result.work.video_id not in late]
        # So it is with rows that are shared: whoever removes some from now on finds that they are, but some may have gone.
        copies = [result for result in rows if result.work.source_id]
        copied = forgotten_meanwhile(self.lake, copies) | {one.work.video_id for one in unshared(self.lake, copies)}
        if copied:
            withdraw(self.lake, [(r.work.video_id, r.generation) for r in rows if r.work.video_id in copied])
            log.warning("What %d videos are copies of was removed while they were taken over.", len(copied))
            rows = [result for result in rows if result.work.video_id not in copied]
        return [*rows, *(result for result in results if _failed_redo(result))]

    def _forget(self, ids: Sequence[str]) -> None:
        from tasks.erasure.forget import forget  # only here, and it brings much with it

        done = forget(self.lake, self.settings, ids, why="while a run was at work on them")
        for sentence in done.left:
            log.warning("Of %d videos that were forgotten meanwhile is left: %s", len(ids), sentence)

    def _commit(self, results: Sequence[Result]) -> list[Result]:
        return commit(self.lake, results, run_id=self.run_id, device=self.device, hardware=hardware_of(self.device))

    def stop(self) -> None:
        """Let nothing wait any longer: the run ends."""
        self.stopped.set()

    # -- results --------------------------------------------------------------------------------------------------

    def result(self, item: PreparedVideo, status: Status) -> Result:
        """The row of an item as far as it is known."""
        audio = item.hearings[0].audio if item.hearings else None
        return Result(
            work=item.work,
            bucket=self.bucket.bucket_id,
            bucket_uri=self.bucket.uri,
            status=status,
            metadata=item.metadata,
            recipes=self.recipes,
            attempts=_attempt(item.work),
            sidecar_error=item.warning,
            probe=item.probe,
            duration_ms=item.probe.duration_ms if item.probe else None,
            audio_track=audio.track if audio else None,
            audio_heard=audio.channels if audio else (),
            clock=audio.clock if audio else item.probe.clock if item.probe else None,
            language=item.metadata.language or self.models.language,
            content_sha256=item.sha256,
        )

    def failed(self, item: PreparedVideo, error: NightscribeError) -> Result:
        """A row that says why; faults that may pass are due again after a wait that doubles."""
        return replace(
            self.result(item, "failed"),
            reason=error.reason,
            error=str(error)[:2000],
            next_try_at=self.next_try(error, _attempt(item.work)),
            seconds=item.seconds,
        )

    def next_try(self, error: NightscribeError, tries: int) -> datetime | None:
        """When something that failed `tries` times is due again; None for never."""
        if not isinstance(error, (Transient, Unexpected)):  # a fault of ours may be mended by the next version
            return None
        return datetime.now(UTC) + timedelta(seconds=self.settings.retry_after_s * 2 ** min(10, tries - 1))

    def gone(self, work: Sequence[VideoTask]) -> list[Result]:
        """Rows for videos that are no longer in the bucket: current views lose their words, history keeps them."""
        return [
            Result(
                work=item,
                bucket=self.bucket.bucket_id,
                bucket_uri=self.bucket.uri,
                status="gone",
                metadata=make_metadata(item.key, {}, {}),
                recipes=self.recipes,
            )
            for item in work
        ]


def _attempt(work: VideoTask) -> int:
    """Which try at this object this is, after tries that failed."""
    return work.attempts + 1 if work.why == "retried" else 1


def _failed_redo(result: Result) -> bool:
    """Whether a video failed that the lake has already: for good while its object is the same, or not for good."""
    known = not result.work.whole or (result.work.why == "changed" and result.next_try_at is not None)
    return result.status == "failed" and known
