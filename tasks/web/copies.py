"""Web copies: smaller videos that every browser plays, made on demand, a few at a time."""

from __future__ import annotations

import logging
import re
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from tasks.errors import MediaTooLong, NightscribeError, TooBusy, foreseen
from tasks.media import explain, input_arguments
from tasks.media.process import Tool
from tasks.settings import Settings
from tasks.web.cache import FolderCache
from tasks.web.media import Original, local_file

log = logging.getLogger("nightscribe")
HEIGHT = 480
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
        return self._cache.find(_name(original))

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
        self._pool.submit(self._make, original, row["audio_track"] or 0, length_ms)
        return Copy("waiting")

    def close(self) -> None:
        """Stop what is under way; its half-made files are removed."""
        self._stopping.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _make(self, original: Original, track: int, length_ms: int) -> None:
        def told(progress: float) -> None:
            with self._lock:
                self._set(original.name, replace(Copy("making"), progress=round(min(progress, 0.99), 2)))

        try:
            told(0.0)
            with foreseen():
                source = local_file(original, self._fetched, self._settings, most_mb=self._settings.web_cache_mb // 4)
                self._cache.get(_name(original), lambda target: self._transcode(source, target, track, length_ms, told))
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

    def _transcode(self, source: Path, target: Path, track: int, length_ms: int, told: Callable[[float], None]) -> None:
        command = [
            "ffmpeg", "-v", "error", "-nostdin", "-progress", "pipe:1", "-threads", "1", *input_arguments(), "-i", f"file:{source}",
            "-map", "0:V:0?", "-map", f"0:a:{track}?", "-sn", "-dn", "-map_metadata", "-1",
            "-c:v", "libx264", "-threads", "1", "-preset", "veryfast", "-crf", "27", "-profile:v", "main",
            "-pix_fmt", "yuv420p", "-vf", f"scale=-2:'2*trunc(min({HEIGHT},ih)/2)'",
            "-c:a", "aac", "-ac", "2", "-b:a", "96k",
            "-fs", str(self._settings.web_cache_mb << 18), "-movflags", "+faststart", "-f", "mp4", "-y", f"file:{target}",
        ]  # fmt: skip
        limit_s = 60 + SLOWEST * length_ms / 1000
        with Tool(command, memory_mb=self._settings.media_memory_mb) as tool:
            for data in tool.output(stall_s=STALL_S, limit_s=limit_s):
                if self._stopping.is_set():
                    raise TooBusy("The server stops.")
                for done in _PROGRESS.findall(data)[-1:]:
                    told(int(done) / 1000 / length_ms if length_ms else 0.0)
            if tool.failed:
                raise explain(tool.said, source)


def _name(original: Original) -> str:
    return f"{original.name}.web.mp4"
