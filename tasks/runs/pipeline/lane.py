"""The lane of a device: one batch and stage at a time, over all processes with this scratch."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from filelock import FileLock, Timeout

from tasks.errors import RunStopped
from tasks.machine.scratch import priority_taken
from tasks.runs.pipeline.state import Pipeline


@contextlib.contextmanager
def lane(run: Pipeline) -> Iterator[None]:
    """Wait for the device. The kernel frees the lock of a process that died.

    A slice of a backfill waits here as long as a run that is none is under way.
    """
    lock = FileLock(run.settings.scratch / f"lane-{run.device.replace(':', '-')}.lock")
    while True:
        if run.stopped.is_set():
            raise RunStopped("The run was ended while it waited for another one.")
        if run.low_priority and priority_taken(run.settings.scratch):
            run.stopped.wait(0.5)
            continue
        with contextlib.suppress(Timeout):
            lock.acquire(timeout=0.5)
            break
    try:
        yield
    finally:
        lock.release()
