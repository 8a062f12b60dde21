"""Scratch space: a folder for each run, held by a lock that the kernel frees when the process dies."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from tasks.errors import ScratchFull


class ByteBudget:
    """Bounds what the copies of objects take at one time: whoever wants more waits until others are removed.

    One that is larger than all the room has it alone.
    """

    def __init__(self, limit: float) -> None:
        self.limit, self._taken, self._changed = limit, 0, threading.Condition()

    @contextlib.contextmanager
    def of(self, size: int) -> Iterator[None]:
        """Hold so many bytes while the context lasts."""
        with self._changed:
            self._changed.wait_for(lambda: not self._taken or self._taken + size <= self.limit)
            self._taken += size
        try:
            yield
        finally:
            with self._changed:
                self._taken -= size
                self._changed.notify_all()


@contextlib.contextmanager
def writing(path: Path, free_gb: float, *, size: int = 0) -> Iterator[Callable[[bytes], None]]:
    """A function that appends to the new file `path`, as long as the disk keeps `free_gb` gigabytes free.

    Where the `size` is known, its space is looked for before the first byte.

    Raises:
        ScratchFull: no space, or not enough of it.
    """
    try:
        if shutil.disk_usage(path.parent).free - size < free_gb * 1e9:
            more = f"with {size / 1e9:.3g} GB more, " if size else ""
            raise OSError(errno.ENOSPC, f"{more}less than {free_gb:g} GB is free")
        with path.open("wb") as handle:

            def write(data: bytes) -> None:
                if shutil.disk_usage(path.parent).free < free_gb * 1e9:
                    raise OSError(errno.ENOSPC, f"less than {free_gb:g} GB is free")
                handle.write(data)

            yield write
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise ScratchFull(
            f"No space in scratch ({path.parent.parent}): {error.strerror}.",
            next="Free some, or name another folder with NIGHTSCRIBE_SCRATCH; then run the same command again.",
        ) from error


def sweep(scratch: Path) -> int:
    """Remove the folders of runs that no longer live; returns how many there were."""
    swept = 0
    for name in {path.name.removesuffix(".lock") for path in scratch.glob("run-*")}:
        lock = FileLock(scratch / f"{name}.lock", timeout=0)
        with contextlib.suppress(Timeout), lock:
            swept += (scratch / name).is_dir()
            shutil.rmtree(scratch / name, ignore_errors=True)
            (scratch / f"{name}.lock").unlink(missing_ok=True)
    for path in scratch.glob("first-*.lock"):
        _lives(path)
    return swept


def cache_name(video_id: str, fingerprint: str, size_bytes: int) -> str:
    """How files begin that are kept of a video's object: another object has another name."""
    content = hashlib.sha256(f"{fingerprint}\0{size_bytes}".encode()).hexdigest()
    return f"{video_id}-{content[:24]}"


def forget_files(scratch: Path, names: Iterable[str], texts: Iterable[str]) -> tuple[int, int]:
    """Remove everything kept of some videos: files whose names begin so, and lines of logs that have one of the texts.

    Returns how many files went, and how many are left because a run that lives is at work on them.
    """
    names, texts = tuple(names), tuple(texts)
    sweep(scratch)
    removed = busy = 0
    for path in sorted(scratch.rglob("*")) if names or texts else ():
        if not path.is_file():
            continue
        inside = path.relative_to(scratch).parts[0].startswith("run-")
        if names and path.name.startswith(names):
            busy += inside
            if not inside:
                path.unlink(missing_ok=True)
                removed += 1
        elif path.suffix == ".log" and texts:
            said = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
            kept = [line for line in said if not any(text in line for text in texts)]
            if len(kept) < len(said):
                path.write_text("".join(kept), encoding="utf-8")
    return removed, busy


@contextlib.contextmanager
def run_folder(scratch: Path, run_id: str) -> Iterator[Path]:
    """This run's own folder, removed at the end, after sweeping those of runs that were killed."""
    scratch.mkdir(parents=True, exist_ok=True)
    sweep(scratch)
    folder = scratch / f"run-{run_id}"
    lock = scratch / f"run-{run_id}.lock"
    with FileLock(lock):
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            lock.unlink(missing_ok=True)


@contextlib.contextmanager
def with_priority(scratch: Path, run_id: str) -> Iterator[None]:
    """While the context lasts, slices of a backfill on this machine leave the devices to this run."""
    path = scratch / f"first-{run_id}.lock"
    with FileLock(path):
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def priority_taken(scratch: Path) -> bool:
    """Whether a living run goes first here."""
    return any(_lives(path) for path in scratch.glob("first-*.lock"))


def _lives(path: Path) -> bool:
    """Whether somebody holds the lock; one that nobody holds, of a run that was killed, is removed."""
    try:
        with FileLock(path, timeout=0):
            path.unlink(missing_ok=True)
    except Timeout:
        return True
    return False
