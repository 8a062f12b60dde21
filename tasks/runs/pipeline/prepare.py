"""Prepare: fetch, probe and decode the audio of every video of a batch."""

from __future__ import annotations

import contextlib
import shutil
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb

from tasks.errors import BadSidecar, Forgotten, ObjectChanged, Permanent, Transient, Unexpected, translate_errors
from tasks.lake.copies import Contents, Copy, copy_of, sha256_of
from tasks.media import choose_sources, extract_audio, may_be_read, probe
from tasks.media.frames import extract_frames
from tasks.records import Audio, Choice, Probe, Result, Source, VideoTask
from tasks.runs.pipeline.refresh import take_over
from tasks.runs.pipeline.state import Batch, Hearing, Pipeline, PreparedVideo
from tasks.sources.metadata import make_metadata, parse_sidecar
from tasks.stages.emissions.options import EmissionsSettings
from tasks.stages.registry import STAGES

if TYPE_CHECKING:
    from tasks.speech.silence import Silence

SOUNDTRACK_RATE = 48_000  # samples a second, of which models of sounds have more to hear than words need
THREADS = 2  # ffmpeg processes at a time


def prepare(run: Pipeline, batch: Batch) -> Batch:
    """Fetch, probe and decode every video of the batch; faults become results. What is ready already stays so."""
    ready = {item.work.video_id: item for item in batch.items if item.result or _has_audio(item)}
    contents = Contents(run.lake)

    def item_of(work: VideoTask) -> PreparedVideo:
        return ready.get(work.video_id) or _waited(run, contents, work) or _prepare_one(run, contents, work)

    with ThreadPoolExecutor(THREADS) as threads:
        items = list(threads.map(item_of, batch.work))
    batch.items = [item for item in items if not item.waits_for_duplicate]
    for item in batch.items:
        run.waiting.pop(item.work.video_id, None)
    run.waiting.update({item.work.video_id: item for item in items if item.waits_for_duplicate})
    return batch


def _waited(run: Pipeline, contents: Contents, work: VideoTask) -> PreparedVideo | None:
    """A video that waited for another one's words, once they are in the lake: its object is not read again."""
    item = run.waiting.get(work.video_id)
    known = copy_of(contents, work, item.sha256, run.recipes) if item and item.sha256 else None
    if item is None or known is None or known.forgotten:
        return None
    item.result = _taken_over(run, item, contents, known)
    item.waits_for_duplicate = item.result is None
    return None if item.waits_for_duplicate else item


def _has_audio(item: PreparedVideo) -> bool:
    return bool(item.hearings) and all(Path(hearing.audio.path).exists() for hearing in item.hearings)


def _prepare_one(run: Pipeline, contents: Contents, work: VideoTask) -> PreparedVideo:
    item = PreparedVideo(work, make_metadata(work.key, {}, {}))
    with contextlib.ExitStack() as kept:
        for attempt in range(1, run.settings.attempts + 1):
            try:
                with translate_errors(), run.clock.working():
                    _read(run, item, contents, kept)
                break
            except (Permanent, Unexpected) as error:
                item.result = run.failed(item, error)
                break
            except Transient as error:
                # A file that is still being written is not finished a second later.
                if attempt == run.settings.attempts or isinstance(error, ObjectChanged):
                    item.result = run.failed(item, error)
                    break
                time.sleep(min(10.0, 2.0 ** (attempt - 1)))
    return item


@contextlib.contextmanager
def _object(run: Pipeline, item: PreparedVideo, kept: contextlib.ExitStack) -> Iterator[Path]:
    """The object as a file. A copy stays until `kept` is closed: a second try does not fetch it again."""
    work, started = item.work, time.monotonic()
    fetched = run.bucket.fetched(work.key, work.fingerprint, run.scratch, run.settings.scratch_free_gb)
    if run.bucket.local:
        with fetched as path:
            yield path
        return
    if item.copy is None or not item.copy.exists():
        with contextlib.ExitStack() as taken:
            taken.enter_context(run.room.of(work.size_bytes))
            item.copy = taken.enter_context(fetched)
            kept.push(taken.pop_all())
        item.seconds["fetch"] = item.seconds.get("fetch", 0.0) + time.monotonic() - started
    yield item.copy


def _read(run: Pipeline, item: PreparedVideo, contents: Contents, kept: contextlib.ExitStack) -> None:
    work = item.work
    with _object(run, item, kept) as path:
        started = time.monotonic()
        item.sha256 = sha256_of(path, work.fingerprint)
        item.seconds["fetch"] = item.seconds.get("fetch", 0.0) + time.monotonic() - started
        compared = work.is_transcribed and (work.same_size or work.video_id in run.waiting)
        known = copy_of(contents, work, item.sha256, run.recipes) if compared else None
        if known and known.forgotten:
            raise Forgotten("Its content is that of a video that was forgotten, and is not indexed.")
        sidecar = _sidecar(run, item)
        started = time.monotonic()
        item.probe = probe(path, run.settings)
        item.metadata = make_metadata(work.key, sidecar, item.probe.tags)
        if known and (taken := _taken_over(run, item, contents, known)):
            item.result = taken
            return
        item.waits_for_duplicate = work.is_transcribed and run.is_duplicate(work, item.sha256)
        if item.waits_for_duplicate:
            return
        _look(run, item, path)
        _listen(run, item, path)
        if not item.probe.tracks:
            item.result = run.result(item, "no_audio") if work.is_transcribed else None
            return
        if not STAGES.needing("sound", work.stages):
            return
        choice = _chosen(run, item, path, item.probe)
        _decode(run, item, path, choice.sources, choice.rivals)
        item.seconds["audio"] = item.seconds.get("audio", 0.0) + time.monotonic() - started


def read_next(run: Pipeline, item: PreparedVideo) -> None:
    """Decode the next sound of a video in which nothing was heard so far.

    Raises:
        Permanent, Transient: it cannot be read any more.
    """
    with contextlib.ExitStack() as kept, run.clock.working(), _object(run, item, kept) as path:
        started = time.monotonic()
        _decode(run, item, path, item.sources, 1)
        item.seconds["audio"] += time.monotonic() - started


def _decode(run: Pipeline, item: PreparedVideo, path: Path, sources: Sequence[Source], count: int) -> None:
    """Decode the first `count` of some sounds; the others are left for later."""
    assert item.probe is not None
    item.sources, item.hearings = tuple(sources[count:]), []
    targets = [run.scratch / f"{item.work.video_id}-{uuid.uuid4().hex[:8]}.pcm" for _ in sources[:count]]
    try:
        for target, source in zip(targets, sources, strict=False):
            audio = extract_audio(path, item.probe, target, run.settings, source)
            item.hearings.append(Hearing(audio, _silence(run, audio)))
    except BaseException:
        for target in targets:
            target.unlink(missing_ok=True)
        raise
    item.probe = item.probe.seen_with(item.hearings[0].audio.track)


def _chosen(run: Pipeline, item: PreparedVideo, path: Path, probed: Probe) -> Choice:
    """Which sound is heard, listened for once a visit.

    Raises:
        MediaTooLong, UnsupportedMedia and what listening raises.
    """
    if item.choice is None:
        may_be_read(path, probed, run.settings)
        item.choice = choose_sources(path, probed, run.settings, language=run.models.spoken_tag)
    return item.choice


def _apart(
    run: Pipeline, item: PreparedVideo, path: Path, source: str, decode: Callable[[Probe, Source | None], None]
) -> None:
    """Decode a source that is there for some stages alone: what is wrong with it is a fault of theirs, and not of the words."""
    assert item.probe is not None
    started = time.monotonic()
    item.faults.pop(source, None)
    item.notes.pop(source, None)
    try:
        with translate_errors():
            may_be_read(path, item.probe, run.settings)
            heard = _chosen(run, item, path, item.probe).sources[0] if item.probe.tracks else None
            decode(item.probe.seen_with(heard.track.position) if heard else item.probe, heard)
    except (Permanent, Transient, Unexpected) as error:
        item.faults[source] = error
    item.seconds[source] = time.monotonic() - started


def _look(run: Pipeline, item: PreparedVideo, path: Path) -> None:
    """Decode the pictures, if a stage looks at them."""
    if item.probe is None or item.pictures or not STAGES.needing("pictures", item.work.stages):
        return
    settings = run.settings
    folder = run.scratch / f"{item.work.video_id}-{uuid.uuid4().hex[:8]}-frames"
    folder.mkdir()

    def decode(probed: Probe, heard: Source | None) -> None:
        track = heard.track if heard else None
        item.pictures = extract_frames(
            path, probed, track, folder, settings, every_s=settings.frame_every_s, most_a_minute=settings.frames_max
        )
        if item.pictures.incomplete:
            item.notes["pictures"] = item.pictures.incomplete

    _apart(run, item, path, "pictures", decode)
    if item.pictures is None:
        shutil.rmtree(folder, ignore_errors=True)


def _listen(run: Pipeline, item: PreparedVideo, path: Path) -> None:
    """Decode all that is to be heard of what is heard for its words, if a stage asks for it."""
    if (
        item.probe is None
        or not item.probe.tracks
        or item.soundtrack
        or not STAGES.needing("soundtrack", item.work.stages)
    ):
        return
    target = run.scratch / f"{item.work.video_id}-{uuid.uuid4().hex[:8]}-soundtrack.pcm"

    def decode(probed: Probe, heard: Source | None) -> None:
        item.soundtrack = extract_audio(path, probed, target, run.settings, heard, rate=SOUNDTRACK_RATE)
        if item.soundtrack.incomplete:
            item.notes["soundtrack"] = item.soundtrack.incomplete

    _apart(run, item, path, "soundtrack", decode)
    if item.soundtrack is None:
        target.unlink(missing_ok=True)


def _silence(run: Pipeline, audio: Audio) -> Silence | None:
    """Looked for now, and not when it is this batch's turn on the device."""
    if not run.settings.of(EmissionsSettings).skip_silence:
        return None
    from tasks.speech.silence import silent

    return silent(audio)


def _taken_over(run: Pipeline, item: PreparedVideo, contents: Contents, known: Copy) -> Result | None:
    """The words that the lake has of the same content; None when they have gone since. What is to be made comes with
    everybody's."""
    work = replace(item.work, source_id=known.video_id, source_generation=known.generation)
    found = None
    with contextlib.suppress(duckdb.IOException):
        found = take_over(contents.cursor(), run, work, item.metadata)
    if found is None:
        return None
    result, item.making = found
    return replace(result, probe=item.probe, sidecar_error=item.warning, content_sha256=item.sha256)


def _sidecar(run: Pipeline, item: PreparedVideo) -> dict[str, Any]:
    """The sidecar's fields; one that cannot be read is a warning, and the video is indexed without it."""
    key = item.work.sidecar_key
    if key is None:
        return {}
    try:
        found = parse_sidecar(run.bucket.sidecar(key), key)
    except (BadSidecar, Permanent, ObjectChanged) as error:
        item.warning = f"{error} The video was indexed without it."
        return {}
    item.metadata = make_metadata(item.work.key, found, {})
    return found
