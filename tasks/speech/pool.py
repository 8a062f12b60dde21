"""The pool of beam search processes: made once a run, warm before the first utterance comes."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import get_context

from tasks.errors import DecoderDied
from tasks.machine.lifetime import end_with
from tasks.records import Word
from tasks.speech.decode import Utterance, build_decoder, decode_many
from tasks.speech.spec import DecoderSpec

log = logging.getLogger(__name__)


class DecoderPool:
    """Decodes utterances in other processes. A process that is killed takes its tasks along; the pool is made anew."""

    def __init__(self, spec: DecoderSpec, *, frame_ms: float, processes: int | None = None) -> None:
        self.spec, self.frame_ms = spec, frame_ms
        self.processes = processes or max(1, (os.cpu_count() or 2) // 2)
        self._lock = threading.Lock()
        # A file's emissions wait here when the beam search is slower than the model: no more than so many tasks do.
        self._room = threading.BoundedSemaphore(self.processes * 8)
        self._executor = self._make()

    def _make(self) -> ProcessPoolExecutor:
        # spawn: a fork of a process with threads, a GPU and a model in it may hang.
        return ProcessPoolExecutor(self.processes, get_context("spawn"), _start, (self.spec, os.getpid()))

    def submit(self, utterances: Sequence[Utterance], spec: DecoderSpec | None = None) -> Future[list[list[Word]]]:
        """Queue utterances, with another spec than the pool's if one is given; blocks while too many wait. Results come in
        the same order."""
        self._room.acquire()
        task = partial(decode_many, spec or self.spec, list(utterances), self.frame_ms)
        try:
            with self._lock:
                try:
                    future = self._executor.submit(task)
                except BrokenProcessPool:
                    self._executor.shutdown(wait=False, cancel_futures=True)
                    self._executor = self._make()
                    future = self._executor.submit(task)
        except BaseException:
            self._room.release()
            raise
        future.add_done_callback(lambda _: self._room.release())
        return future

    def close(self) -> None:
        """End the processes without waiting for what is queued."""
        self._executor.shutdown(wait=False, cancel_futures=True)


def gather(futures: Sequence[Future[list[list[Word]]]]) -> tuple[Word, ...]:
    """The words of a file's futures, in order.

    Raises:
        DecoderDied: a process was killed while it decoded.
    """
    try:
        return tuple(word for future in futures for words in future.result() for word in words)
    except BrokenProcessPool as error:
        raise DecoderDied("A beam search process was killed.", next="Run the same command again.") from error


def _start(spec: DecoderSpec, parent: int) -> None:
    """In a new pool process: leave Ctrl-C to the parent, end when it ends, load the language model."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with(parent)
    build_decoder(spec)
