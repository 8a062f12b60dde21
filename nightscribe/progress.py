"""How far a run is: a bar on a terminal, plain lines in a log; both on stderr."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

EVERY_S = 30.0


@contextlib.contextmanager
def following(session: Any) -> Iterator[None]:
    """Show the progress of a session while the context lasts."""
    total = len(session.work)
    if not sys.stderr.isatty():
        print(f"{total} video{'s' * (total != 1)} to do.", file=sys.stderr, flush=True)
        session.listeners.append(_Lines(total))
        yield
        return
    with _bar() as bar:
        row = bar.add_task("starting", total=total)

        def advance(results: Sequence[Any]) -> None:
            bar.update(row, advance=len(results), description="indexing")

        session.listeners.append(advance)
        yield


@contextlib.contextmanager
def counting(what: str, *, timed: bool = True) -> Iterator[Callable[..., None]]:
    """A function (done, total, remark="") that shows how far `what` is, with the remaining time unless the remark has it.

    A bar is there from the first call until all is done, so that several may follow each other.
    """
    started, said, first = time.monotonic(), -EVERY_S, 0
    bar, row = (_bar(timed=timed) if sys.stderr.isatty() else None), None

    def line(done: int, total: int, remark: str) -> None:
        nonlocal started, said, first
        now = time.monotonic()
        if said < 0:
            started, first = now, done  # what was done before tells nothing of the speed
        if done < total and now - said < EVERY_S:
            return
        said = now
        left = (now - started) / max(1, done - first) * (total - done)
        parts = [
            f"{what}: {done} of {total}",
            remark,
            f"{left / 60:.0f} min left" if timed and first < done < total else "",
        ]
        print(", ".join(filter(None, parts)), file=sys.stderr, flush=True)

    def show(done: int, total: int, remark: str = "") -> None:
        nonlocal row
        if bar is None:
            line(done, total, remark)
            return
        if row is None:
            bar.start()
            row = bar.add_task(what, total=total)
        bar.update(row, completed=done, total=total, description=f"{what} {remark}".strip())
        if done >= total:
            bar.stop()

    try:
        yield show
    finally:
        if bar is not None:
            bar.stop()


def recalled(show: Callable[..., None], kind: str, total: int) -> Callable[[Any], None]:
    """Tells how far the training of a model of pairs is, by `show` of `counting`, and each validation in a line of its own."""

    def told(progress: Any) -> None:
        said = f"loss {progress.loss:.3f}"
        if progress.recall is not None:
            found = f"{progress.recall:.1%} of texts find their {kind} among ten"
            print(f"step {progress.step}: {said}, {found}", file=sys.stderr, flush=True)
        show(progress.step, total, said)

    return told


def _bar(*, timed: bool = True) -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        *([TimeRemainingColumn()] if timed else []),
    )
    return Progress(*columns, console=Console(stderr=True), transient=True)


class _Lines:
    """A line now and then, for logs."""

    def __init__(self, total: int) -> None:
        self.total, self.done, self.last = total, 0, time.monotonic()

    def __call__(self, results: Sequence[Any]) -> None:
        self.done += len(results)
        if self.done >= self.total or time.monotonic() - self.last > EVERY_S:
            self.last = time.monotonic()
            print(f"{self.done} of {self.total} videos done.", file=sys.stderr, flush=True)
