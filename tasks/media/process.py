"""ffmpeg and ffprobe as processes with limits: memory, silence, length of what they say. No shell is ever involved."""

from __future__ import annotations

import contextlib
import os
import resource
import selectors
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from types import TracebackType

from tasks.errors import MissingTool, StageTimeout

SAID_BYTES = 64 << 10  # of its messages; a damaged file makes millions
ASIDE = "{aside}"  # in an argument: the number of the pipe that `aside` is read from


class Tool:
    """A running command. `said` is the end of what it wrote to stderr; it is killed on leaving the context.

    With `ASIDE` in an argument it has a second pipe to write to: what comes there is in `aside`, for the reader to take out.
    With `fed`, its stdin is `feed`.
    """

    def __init__(self, command: Sequence[str], *, memory_mb: int, fed: bool = False) -> None:
        self.name = command[0]
        self.aside = bytearray()
        self._said = bytearray()
        theirs: int | None = None
        self._aside: int | None = None
        if any(ASIDE in part for part in command):
            self._aside, theirs = os.pipe()
        try:
            self._process = subprocess.Popen(
                [part.replace(ASIDE, str(theirs)) for part in command],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                stdin=subprocess.PIPE if fed else subprocess.DEVNULL,
                bufsize=0,
                pass_fds=() if theirs is None else (theirs,),
            )
        except FileNotFoundError as error:
            self._close_aside()
            raise MissingTool(f"{self.name} was not found.", next="Install it: apt-get install ffmpeg") from error
        finally:
            if theirs is not None:
                os.close(theirs)
        with contextlib.suppress(ProcessLookupError):  # it may have ended already
            resource.prlimit(self._process.pid, resource.RLIMIT_AS, (memory_mb << 20, memory_mb << 20))

    def __enter__(self) -> Tool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        with contextlib.suppress(BrokenPipeError), self._process:  # closes the pipes and waits
            pass
        self._close_aside()

    def _close_aside(self) -> None:
        if self._aside is not None:
            os.close(self._aside)
            self._aside = None

    def feed(self, pieces: Iterable[bytes]) -> None:
        """Write to its stdin, and end that. A command that has seen enough ends the writing."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError), self._process.stdin as pipe:
            for piece in pieces:
                view = memoryview(piece)
                while view:  # without a buffer, a pipe may take a part
                    view = view[pipe.write(view) :]

    def stop(self) -> None:
        """End it now."""
        self._process.kill()

    @property
    def said(self) -> str:
        return self._said.decode("utf-8", "replace")

    @property
    def failed(self) -> bool:
        """Whether it ended with an error (waits for its end)."""
        return bool(self._process.wait())

    @property
    def killed(self) -> int | None:
        """The signal that ended it, if one did."""
        return -self._process.returncode if self._process.wait() < 0 else None

    def output(self, *, stall_s: float, limit_s: float | None = None, size: int = 1 << 20) -> Iterator[bytes]:
        """What it writes to stdout, while its stderr is read as well (a full pipe would stop it).

        Raises:
            StageTimeout: nothing came for `stall_s`, or it ran longer than `limit_s`.
        """
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            selector.register(self._process.stderr, selectors.EVENT_READ)
            if self._aside is not None:
                selector.register(self._aside, selectors.EVENT_READ)
            started = last = time.monotonic()
            while selector.get_map():
                for ready, _ in selector.select(timeout=1.0):
                    data = os.read(ready.fd, size)
                    if not data:
                        selector.unregister(ready.fileobj)
                    elif ready.fileobj is self._process.stderr:
                        self._said += data
                        del self._said[:-SAID_BYTES]
                    elif ready.fd == self._aside:
                        self.aside += data
                    else:
                        yield data
                        last = time.monotonic()
                if time.monotonic() - last > stall_s:
                    raise StageTimeout(f"{self.name} gave nothing for {stall_s:g} s and was stopped.")
                if limit_s and time.monotonic() - started > limit_s:
                    raise StageTimeout(f"{self.name} was not done after {limit_s:.0f} s and was stopped.")
