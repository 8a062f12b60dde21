"""From a batch of videos to committed rows, in four steps that may overlap with those of other batches.

    prepare  fetch, probe, decode the audio into scratch        waits for disks and ffmpeg
    listen   emissions; utterances go to the beam search pool   holds the GPU lane
    finish   words, cues, topics                                 waits for the pool
    commit   rows in the lake

A fault of one video becomes its row (`failed`, with a reason) and never its batch's; only `StorageBusy` of the lake,
`DecoderDied` and faults of the machine leave a step, to be tried again or to end the run.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from tasks.bucket import Bucket
from tasks.errors import BadSidecar, DecoderDied, NightscribeError, ObjectChanged, Permanent, StorageBusy, Transient
from tasks.lake.commit import commit
from tasks.lake.store import Lake
from tasks.media import extract_audio, probe
from tasks.metadata import make_metadata, parse_sidecar
from tasks.models import ModelSet, decoder_spec
from tasks.records import Audio, Metadata, Probe, Recipes, Result, Status, Topic, Word, Work
from tasks.settings import Settings
from tasks.speech.decode import Utterance, UtteranceSplitter
from tasks.speech.pool import DecoderPool, gather
from tasks.subtitles import CueRules, make_cues

if TYPE_CHECKING:  # torch takes four seconds to import, and a run without speech never needs it
    from tasks.speech.acoustic import AcousticModel
    from tasks.topics import TopicModel

log = logging.getLogger("nightscribe")
GROUP_FRAMES = 3000  # emissions of a minute travel to the pool together


@dataclass
class Item:
    """One video on its way. `result` is set as soon as its outcome is certain."""

    work: Work
    metadata: Metadata
    probe: Probe | None = None
    audio: Audio | None = None
    futures: list[Future[list[list[Word]]]] = field(default_factory=list)
    speech_frames: int = 0
    result: Result | None = None
    warning: str | None = None
    seconds: dict[str, float] = field(default_factory=dict)


class Batch:
    """The items of one batch. No dataclass: Prefect would look into every word of it for futures."""

    def __init__(self, number: int, work: Sequence[Work]) -> None:
        self.number = number
        self.work = list(work)
        self.items: list[Item] = []
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
    _pool: DecoderPool | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def scratch(self) -> Path:
        return self.settings.scratch / f"run-{self.run_id}"

    @cached_property
    def device(self) -> str:
        """`cpu` or `cuda:N`; which GPU lane a batch waits for."""
        from tasks.speech.acoustic import choose_device

        return choose_device(self.settings.device)

    @cached_property
    def acoustic(self) -> AcousticModel:
        """The acoustic model, loaded once for the process."""
        from tasks.speech.acoustic import load_acoustic

        s = self.settings
        if s.torch_threads:
            import torch

            torch.set_num_threads(s.torch_threads)
        return load_acoustic(
            self.models.acoustic,
            revision=self.models.acoustic_revision,
            device=self.device,
            precision=s.precision,
            window_s=s.window_s,
            context_s=s.context_s,
            batch=s.model_batch,
            target_language=self.models.target_language,
        )

    @cached_property
    def topic_model(self) -> TopicModel | None:
        """The topic model of the set, if it has one."""
        from tasks.topics import load_topics

        if not self.models.topics:
            return None
        return load_topics(self.models.topics, revision=self.models.topics_revision, device=self.device)

    def pool(self) -> DecoderPool:
        """The beam search processes, started on first use."""
        with self._lock:
            if self._pool is None:
                frame_ms = 1000 * self.acoustic.geometry.stride / 16_000
                spec = decoder_spec(self.models, self.settings, self.acoustic.labels, self.acoustic.blank)
                self._pool = DecoderPool(spec, frame_ms=frame_ms, processes=self.settings.decoders)
            return self._pool

    def close(self) -> None:
        """End the decoders and remove this run's scratch files."""
        if self._pool is not None:
            self._pool.close()
        shutil.rmtree(self.scratch, ignore_errors=True)

    # -- prepare --------------------------------------------------------------------------------------------------

    def prepare(self, batch: Batch) -> Batch:
        """Fetch, probe and decode every video of the batch; faults become results."""
        self.scratch.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(2) as threads:
            batch.items = list(threads.map(self._prepare_one, batch.work))
        return batch

    def _prepare_one(self, work: Work) -> Item:
        item = Item(work, make_metadata(work.key, {}, {}))
        for attempt in range(1, self.settings.attempts + 1):
            try:
                self._read(item)
                break
            except Permanent as error:
                self._fail(item, error)
                break
            except Transient as error:
                # A file that is still being written is not finished a second later.
                if attempt == self.settings.attempts or isinstance(error, ObjectChanged):
                    self._fail(item, error)
                    break
                time.sleep(min(10.0, 2.0 ** (attempt - 1)))
        return item

    def _read(self, item: Item) -> None:
        work = item.work
        started = time.monotonic()
        with self.bucket.fetched(work.key, work.fingerprint, self.settings) as path:
            item.seconds["fetch"] = time.monotonic() - started
            sidecar = self._sidecar(item)
            started = time.monotonic()
            item.probe = probe(path, self.settings)
            item.metadata = make_metadata(work.key, sidecar, item.probe.tags)
            if not item.probe.tracks:
                item.result = self._result(item, "no_audio")
                return
            target = self.scratch / f"{work.video_id}-{uuid.uuid4().hex[:8]}.pcm"
            try:
                item.audio = extract_audio(path, item.probe, target, self.settings)
            except BaseException:
                target.unlink(missing_ok=True)
                raise
            item.seconds["audio"] = time.monotonic() - started

    def _sidecar(self, item: Item) -> dict[str, Any]:
        """The sidecar's fields; one that cannot be read is a warning, and the video is indexed without it."""
        key = item.work.sidecar_key
        if key is None:
            return {}
        try:
            found = parse_sidecar(self.bucket.read_small(key), key)
        except (BadSidecar, Permanent, ObjectChanged) as error:
            item.warning = f"{error} The video was indexed without it."
            return {}
        item.metadata = make_metadata(item.work.key, found, {})
        return found

    # -- listen ---------------------------------------------------------------------------------------------------

    def listen(self, batch: Batch) -> Batch:
        """Emissions of all the batch's audio through one pool of windows; utterances go to the decoders at once."""
        heard = [item for item in batch.items if item.audio is not None and item.result is None]
        model = self.acoustic if heard else None
        for item in heard:  # a second try begins again
            item.futures, item.speech_frames = [], 0
        with self._lane():
            if model is not None:
                self._listen(heard, model)
        batch.heard = True
        return batch

    @contextlib.contextmanager
    def _lane(self) -> Iterator[None]:
        """One batch at a time on a device, over all processes with this scratch. The kernel frees the lock of a dead one."""
        self.settings.scratch.mkdir(parents=True, exist_ok=True)
        with FileLock(self.settings.scratch / f"lane-{self.device.replace(':', '-')}.lock"):
            yield

    def _listen(self, heard: list[Item], model: AcousticModel) -> None:
        started = time.monotonic()
        by_file: dict[int, list[Any]] = {}
        current: int | None = None
        for number, piece in model.emissions([item.audio for item in heard if item.audio is not None]):
            if current is not None and number != current:
                self._close(heard[current], by_file[current])
            if number not in by_file:
                by_file[number] = [self._splitter(model), []]
            current = number
            splitter, waiting = by_file[number]
            waiting.extend(splitter.push(piece))
            self._send(heard[number], waiting, final=False)
        if current is not None:
            self._close(heard[current], by_file[current])
        spent = time.monotonic() - started
        total = sum(item.audio.samples for item in heard if item.audio) or 1
        for item in heard:
            assert item.audio is not None
            item.seconds["model"] = spent * item.audio.samples / total

    def _splitter(self, model: Any) -> UtteranceSplitter:
        per_s = 16_000 / model.geometry.stride
        gap, longest = round(self.settings.utterance_gap_s * per_s), round(self.settings.utterance_max_s * per_s)
        return UtteranceSplitter(model.blank, gap=gap, longest=longest)

    def _close(self, item: Item, state: list[Any]) -> None:
        splitter, waiting = state
        waiting.extend(splitter.finish())
        self._send(item, waiting, final=True)

    def _send(self, item: Item, waiting: list[Utterance], *, final: bool) -> None:
        """Pass on waiting utterances in groups of about a minute."""
        while waiting and (final or sum(len(u.log_probs) for u in waiting) >= GROUP_FRAMES):
            group: list[Utterance] = []
            while waiting and sum(len(u.log_probs) for u in group) < GROUP_FRAMES:
                group.append(waiting.pop(0))
            item.speech_frames += sum(len(u.log_probs) for u in group)
            item.futures.append(self.pool().submit(group))

    # -- finish ---------------------------------------------------------------------------------------------------

    def finish(self, batch: Batch) -> Batch:
        """Collect words, cut cues, classify; afterwards every item has its result.

        Raises:
            DecoderDied: a beam search process was killed; the next try listens to the batch again.
        """
        if not batch.heard:
            self.listen(batch)
        for item in batch.items:
            if item.result is not None:
                continue
            started = time.monotonic()
            try:
                words = gather(item.futures)
            except DecoderDied:
                batch.heard = False
                raise
            item.futures = []
            if item.audio is not None:
                Path(item.audio.path).unlink(missing_ok=True)
            item.seconds["decode"] = time.monotonic() - started
            item.result = self._with_words(item, words)
        started = time.monotonic()
        for item in batch.items:
            assert item.result is not None
            if item.result.status in ("indexed", "no_speech", "no_audio"):
                item.result = replace(item.result, topics=self.topics_of(item.result))
        share = (time.monotonic() - started) / max(1, len(batch.items))
        for item in batch.items:
            assert item.result is not None
            item.result = replace(item.result, seconds={**item.seconds, "topics": share})
        return batch

    def _with_words(self, item: Item, words: tuple[Word, ...]) -> Result:
        assert item.audio is not None
        duration = max(item.audio.duration_ms, (item.probe.duration_ms or 0) if item.probe else 0)
        cues = tuple(make_cues(words, CueRules.of(self.settings), duration_ms=item.audio.duration_ms))
        result = self._result(item, "indexed" if words else "no_speech")
        reason = "truncated" if item.audio.incomplete else None
        return replace(
            result,
            reason=reason,
            error=item.audio.incomplete,
            duration_ms=duration,
            words=words,
            cues=cues,
            speech_ms=item.speech_frames * 20,
        )

    def topics_of(self, result: Result) -> tuple[Topic, ...]:
        """Topics of a result by its metadata and words."""
        if self.topic_model is None:
            return ()
        from tasks.topics import classify

        return tuple(
            classify(
                self.topic_model,
                result.metadata,
                result.words,
                result.duration_ms or 0,
                window_s=self.settings.topic_window_s,
                keep=self.settings.topic_keep,
            )
        )

    # -- commit ---------------------------------------------------------------------------------------------------

    def commit(self, batch: Batch) -> list[Result]:
        """Write the batch's results; the last step."""
        return self.commit_results([item.result for item in batch.items if item.result is not None])

    def commit_results(self, results: Sequence[Result]) -> list[Result]:
        """Append results that came about in any way."""
        return commit(self.lake, results, run_id=self.run_id, device=self.device)

    # -- results --------------------------------------------------------------------------------------------------

    def _result(self, item: Item, status: Status) -> Result:
        spoken = item.audio or None
        return Result(
            work=item.work,
            bucket=self.bucket.bucket_id,
            bucket_uri=self.bucket.uri,
            status=status,
            metadata=item.metadata,
            recipes=self.recipes,
            attempts=item.work.attempts + 1,
            sidecar_error=item.warning,
            probe=item.probe,
            duration_ms=item.probe.duration_ms if item.probe else None,
            audio_track=spoken.track if spoken else None,
            language=item.metadata.language or self.models.language,
        )

    def _fail(self, item: Item, error: NightscribeError) -> None:
        """A row that says why; transient faults are due again after a wait that doubles."""
        due = None
        if isinstance(error, Transient):
            wait = self.settings.retry_after_s * 2 ** min(10, item.work.attempts)
            due = datetime.now(UTC) + timedelta(seconds=wait)
        result = self._result(item, "failed")
        item.result = replace(result, reason=error.reason, error=str(error)[:2000], next_try_at=due)
        if isinstance(error, StorageBusy):
            log.warning("%s: %s", item.work.key, error)

    def gone(self, work: Sequence[Work]) -> list[Result]:
        """Rows for videos that are no longer in the bucket. The views of what is current lose their words, history keeps them."""
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
