"""Web copies: smaller videos that every browser plays, made on demand, a few at a time."""

from __future__ import annotations

import contextlib
import logging
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from tasks.errors import MediaTooLong, NightscribeError, TooBusy, translate_errors
from tasks.media import Sound, explain, input_arguments, probe
from tasks.media.clock import read_beside, reading
from tasks.media.parts import Stretch, even_pictures, parts_of
from tasks.media.process import Tool
from tasks.media.tracks import whole_track
from tasks.records import Probe, Source
from tasks.settings import Settings
from tasks.web.cache import FolderCache
from tasks.web.media import Original, local_file

log = logging.getLogger("nightscribe")
HEIGHT = 480
COPY_RATE = 48_000
MOST_WAITING = 16
MOST_REMEMBERED = 200
SLOWEST = 4  # times the length of a video that its copy may take
STALL_S = 60.0
_PROGRESS = re.compile(rb"out_time_us=(\d+)")


@dataclass(frozen=True)
class Copy:
    """How far a web copy is: `progress` is 0 to 1, `error` says why it failed."""

    state: Literal["none", "waiting", "making", "ready", "failed"]
    progress: float = 0.0
    error: str | None = None


class Copies:
    """Makes web copies in threads of its own; `cache` keeps them, `fetched` the objects that came from elsewhere."""

    def __init__(self, cache: FolderCache, fetched: FolderCache, settings: Settings) -> None:
        self._cache, self._fetched, self._settings = cache, fetched, settings
        self._pool = ThreadPoolExecutor(settings.web_transcodes, thread_name_prefix="web-copy")
        self._lock = threading.Lock()
        self._known: OrderedDict[str, Copy] = OrderedDict()
        self._stopping = threading.Event()

    def find(self, original: Original) -> Path | None:
        """The copy, if it is ready."""
        return self._cache.find(copy_name(original))

    def state(self, original: Original) -> Copy:
        """How far the copy of an object is."""
        if self.find(original) is not None:
            return Copy("ready", 1.0)
        with self._lock:
            known = self._known.get(original.name, Copy("none"))
        return known if known.state != "ready" else Copy("none")  # it was made, and has gone from the cache

    def ask(self, original: Original, row: dict[str, Any]) -> Copy:
        """Begin a copy unless it is there or under way; a failed one is tried again.

        Raises:
            TooBusy: too many wait already. MediaTooLong: the video is longer than `web_copy_hours`.
        """
        length_ms = row["duration_ms"] or 0
        if length_ms > self._settings.web_copy_hours * 3_600_000:
            raise MediaTooLong(f"Videos longer than {self._settings.web_copy_hours:g} hours get no web copy.")
        now = self.state(original)
        if now.state in ("ready", "waiting", "making"):
            return now
        with self._lock:
            if sum(copy.state in ("waiting", "making") for copy in self._known.values()) >= MOST_WAITING:
                raise TooBusy("Too many web copies are being made.", next="Ask again in some minutes.")
            if self._known.get(original.name, now).state in ("waiting", "making"):
                return self._known[original.name]
            self._set(original.name, Copy("waiting"))
        self._pool.submit(self._make, original, row["audio_track"] or 0, length_ms, row["clock"] == "jumps")
        return Copy("waiting")

    def close(self) -> None:
        """Stop what is under way; its half-made files are removed."""
        self._stopping.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _make(self, original: Original, track: int, length_ms: int, jumps: bool) -> None:
        def told(progress: float) -> None:
            with self._lock:
                self._set(original.name, replace(Copy("making"), progress=round(min(progress, 0.99), 2)))

        try:
            told(0.0)
            with translate_errors():
                source = local_file(original, self._fetched, self._settings, most_mb=self._settings.web_cache_mb // 4)
                self._cache.get(
                    copy_name(original), lambda target: self._transcode(source, target, track, length_ms, jumps, told)
                )
            ended = Copy("ready", 1.0)
        except NightscribeError as error:
            log.info("No web copy of %s: %s", original.key, error)
            ended = Copy("failed", 0.0, str(error))
        with self._lock:
            self._set(original.name, ended)

    def _set(self, name: str, copy: Copy) -> None:
        self._known[name] = copy
        self._known.move_to_end(name)
        while len(self._known) > MOST_REMEMBERED:
            self._known.popitem(last=False)

    def _transcode(
        self, source: Path, target: Path, track: int, length_ms: int, jumps: bool, told: Callable[[float], None]
    ) -> None:
        """A copy on the clock of the rows (tasks/media/clock.py): its sound is decoded as it was for them."""
        settings = self._settings
        probed = probe(source, settings).seen_with(track)
        heard = whole_track(probed, track)
        limit_s = 60 + SLOWEST * length_ms / 1000
        track_heard = heard.track if heard else None
        parts = parts_of(source, probed, track_heard, settings, limit_s=limit_s) if jumps else None
        command = _copy_command(source, target, probed, heard, parts, most_bytes=settings.web_cache_mb << 18)
        with contextlib.ExitStack() as stack:
            tool = stack.enter_context(Tool(command, memory_mb=settings.media_memory_mb, fed=heard is not None))
            fed = None
            if heard is not None:
                sound = stack.enter_context(
                    Sound(source, probed, heard, settings, rate=COPY_RATE, channels=2, parts=parts)
                )
                pool = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="web-copy-sound"))
                fed = pool.submit(tool.feed, (pcm.tobytes() for pcm in sound.pcm()))
                stack.callback(tool.stop)  # before the pool waits for what feeds it
            for data in tool.output(stall_s=STALL_S, limit_s=limit_s):
                if self._stopping.is_set():
                    raise TooBusy("The server stops.")
                for done in _PROGRESS.findall(data)[-1:]:
                    told(int(done) / 1000 / length_ms if length_ms else 0.0)
            if tool.failed:
                raise explain(tool.said, source)
            if fed is not None:
                fed.result()


def _copy_command(
    source: Path,
    target: Path,
    probed: Probe,
    heard: Source | None,
    parts: Sequence[Stretch] | None,
    *,
    most_bytes: int,
) -> list[str]:
    """Sound comes as PCM by stdin, pictures from the file itself."""
    track = heard.track if heard else None
    on_clock = reading(probed, track, jumps=parts is not None)
    pcm = ["-f", "s16le", "-ar", str(COPY_RATE), "-ac", "2", "-i", "pipe:0"] if heard else []
    number, maps, others = 1 if heard else 0, list[str](), list[str]()
    if probed.video_stream is not None:
        maps += ["-map", f"{number}:{probed.video_stream}"]
        others = read_beside(probed, track, number=number)
    maps += ["-map", "0:a"] if heard else []
    return [
        "ffmpeg", "-v", "error", "-nostdin", "-progress", "pipe:1", "-nostats", "-threads", "1", *pcm,
        *on_clock, *input_arguments(), "-i", f"file:{source}", *maps, "-sn", "-dn", "-map_metadata", "-1",
        "-c:v", "libx264", "-threads", "1", "-preset", "veryfast", "-crf", "27", "-profile:v", "main",
        "-pix_fmt", "yuv420p", "-vf", f"{even_pictures(probed, parts or ())},scale=-2:'2*trunc(min({HEIGHT},ih)/2)'",
        "-c:a", "aac", "-ac", "2", "-b:a", "96k",
        "-fs", str(most_bytes), "-movflags", "+faststart", "-f", "mp4", "-y", f"file:{target}", *others,
    ]  # fmt: skip


def copy_name(original: Original) -> str:
    """What the web copy of an object is called in the cache."""
    return f"{original.name}.copy.mp4"
