"""A folder of files that can be made again, of bounded size: what was not used for longest goes first."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

KEEP_SHARE = 0.9  # of the bound, after the oldest have gone
PART = ".part"
ABANDONED_S = 86_400


class FolderCache:
    """Files by name. `most_mb` bounds all of them together; two servers may share a folder."""

    def __init__(self, folder: Path, *, most_mb: int) -> None:
        self.folder = folder
        self._most = most_mb << 20
        self._lock = threading.Lock()
        self._making: dict[str, tuple[threading.Lock, int]] = {}
        self._size: int | None = None
        self._swept = False

    def find(self, name: str) -> Path | None:
        """The file, if it is there; this counts as a use of it."""
        path = self.folder / name
        try:
            os.utime(path)
        except OSError:
            return None
        return path

    def get(self, name: str, make: Callable[[Path], None]) -> Path:
        """The file, made if it is not there: `make` writes a path that is renamed when it is whole. One at a time makes it."""
        found = self.find(name)
        if found is not None:
            return found
        with self._making_alone(name):
            self._sweep_once()
            found = self.find(name)
            if found is not None:
                return found
            self.folder.mkdir(parents=True, exist_ok=True)
            part = self.folder / f"{name}.{uuid.uuid4().hex[:8]}{PART}"
            try:
                make(part)
                size = part.stat().st_size
                path = self.folder / name
                os.replace(part, path)
            finally:
                part.unlink(missing_ok=True)
            self._grown(size, keep=path)
            return path

    @contextlib.contextmanager
    def _making_alone(self, name: str) -> Iterator[None]:
        with self._lock:
            lock, users = self._making.get(name, (threading.Lock(), 0))
            self._making[name] = lock, users + 1
        try:
            with lock:
                yield
        finally:
            with self._lock:
                lock, users = self._making[name]
                if users == 1:
                    del self._making[name]
                else:
                    self._making[name] = lock, users - 1

    def _grown(self, size: int, *, keep: Path) -> None:
        with self._lock:
            if self._size is None:
                self._size = sum(size for _, size, _ in self._files())
            else:
                self._size += size
            if self._size <= self._most:
                return
            files = sorted(self._files())
            self._size = sum(size for _, size, _ in files)
            for _, size, path in files:
                if self._size <= self._most * KEEP_SHARE:
                    break
                if path != keep:
                    path.unlink(missing_ok=True)
                    self._size -= size

    def _sweep_once(self) -> None:
        """Remove what servers that were killed have left half made."""
        with self._lock:
            if self._swept:
                return
            self._swept = True
        for path in self.folder.glob(f"*{PART}"):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > ABANDONED_S:
                    path.unlink()

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        with os.scandir(self.folder) as entries:
            for entry in entries:
                if not entry.name.endswith(PART):
                    with contextlib.suppress(OSError):
                        about = entry.stat()
                        yield about.st_mtime, about.st_size, Path(entry.path)
