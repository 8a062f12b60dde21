"""Hand the slices of a backfill to a fleet, and see each of them done.

A slice is done when the lake says so. Runs that failed are handed out again, and so are runs that are silent: a dead
worker leaves its run "running" for ever. Everything here can be killed and started again: what was handed out is found
again by its slice and its try.

A machine that cannot do any slice (another model, no ffmpeg) refuses all it is given, and faster than others work; one
without the program fails before it can say so. A refusal is therefore no try of the slice, and neither is a run that
failed before it held the slice; the backfill ends when there is nothing else.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from tasks.backfill.state import Backfill
from tasks.errors import OrchestrationUnavailable, RunStopped, StorageBusy
from tasks.lake.claims import Held, Watch, held

log = logging.getLogger("nightscribe")
ENDED = ("FAILED", "CRASHED", "CANCELLED")
BROKEN = ("FAILED", "CRASHED")
AT_WORK = ("PENDING", "RUNNING", "CANCELLING")
REFUSED = "Refused"  # the name of a failed state
MOST_REFUSALS = 10  # in a row, while nobody is at work
# A worker waits as long as we do for the claim of a dead one: it is not to be taken for dead over that.
PATIENCE = 1.5
# Before a run begins, a cluster may have to start a machine for it and fetch an image.
PATIENCE_AT_THE_START = 10


@dataclass(frozen=True)
class Run:
    """The newest try at a slice, as the fleet sees it. `state` is a Prefect state type, `name` what it is called."""

    id: str
    slice: int
    attempt: int
    state: str
    message: str = ""
    name: str = ""

    @property
    def refused(self) -> bool:
        """Whether its machine can do no slice at all."""
        return self.state == "FAILED" and self.name == REFUSED


class Fleet(Protocol):
    """Where slices run. OrchestrationUnavailable when it does not answer."""

    def runs(self) -> dict[int, Run]:
        """The newest run of every slice that was ever handed out and is not done."""

    def submit(self, slice: int, attempt: int) -> None:
        """Hand out a slice; the same slice and try twice is one run."""

    def bury(self, run: Run, message: str) -> None:
        """A run is dead."""


Decision = Literal["wait", "submit", "bury", "give up"]


@dataclass
class Judge:
    """Decides about one slice at a time."""

    silence_s: float
    tries: int
    first: dict[int, int] = field(default_factory=dict)
    refusals: int = 0

    def __post_init__(self) -> None:
        self.watch = Watch(self.silence_s * PATIENCE)
        self.start = Watch(self.silence_s * PATIENCE_AT_THE_START)

    def decide(self, slice: int, run: Run | None, claim: Callable[[], Held]) -> Decision:
        """What to do about a slice that is not done."""
        if run is None:
            return "submit"
        if slice not in self.first:  # tries of an earlier call of the command do not count
            self.first[slice] = run.attempt + (run.state in ENDED)
        if run.state in AT_WORK:
            now = claim()
            began = now.beat is not None and not now.done
            if began and not now.free:
                self.refusals = 0
            # What an earlier try left behind says nothing of this one.
            died = began and now.free and now.owner.get("attempt") == run.attempt
            watch = self.start if run.state == "PENDING" else self.watch
            silent = watch.silent(f"{slice}", (run.id, run.state, now.number, now.beat))
            return "bury" if died or silent else "wait"
        if run.state == "COMPLETED":  # another had the slice, or the note was not there yet when we looked
            now = claim()
            silent = self.watch.silent(f"{slice}", (run.id, run.state, now.number, now.beat))
            return "submit" if silent or (now.free and not now.done and now.beat is not None) else "wait"
        if run.refused or (run.state in BROKEN and claim().owner.get("attempt") != run.attempt):
            self.refusals += 1
            self.first[slice] = min(self.first[slice], run.attempt) + 1
            return "submit"
        if run.state in ENDED:
            return "give up" if run.attempt - self.first[slice] + 1 >= self.tries else "submit"
        return "wait"


def drive(
    backfill: Backfill,
    fleet: Fleet,
    *,
    silence_s: float,
    tries: int,
    show: Callable[[int, int, str], None] = lambda done, total, remark: None,
    poll_s: float = 5.0,
) -> dict[int, str]:
    """See all slices done; returns those that were given up, with the reason.

    Raises:
        KeyboardInterrupt: what was handed out goes on without us. RunStopped: somebody called the backfill off.
    """
    judge = Judge(silence_s, tries)
    before = -1
    lost: dict[int, str] = {}
    quiet = False
    total = sum(part["videos"] for part in backfill.slices)
    while True:
        try:
            done = backfill.done()
            if not backfill.there():
                raise RunStopped(f"The backfill {backfill.id} was called off. What was done stays.")
            if len(done) > before:
                before, judge.refusals = len(done), 0
            left = [n for n in range(len(backfill.slices)) if n not in done and n not in lost]
            runs = fleet.runs() if left else {}
            at_work = sum(run.state in AT_WORK for run in runs.values())
            remark = f"{len(done)} of {len(backfill.slices)} slices, {at_work} at work"
            show(sum(backfill.slices[n]["videos"] for n in done), total, remark)
            if not left:
                return {n: error for n, error in lost.items() if n not in done}
            for n in left:
                _handle(backfill, fleet, judge, n, runs.get(n), lost)
            if judge.refusals >= MOST_REFUSALS:
                said = next((run.message for run in runs.values() if run.state in BROKEN), "")
                lost |= {n: f"No machine takes it. {said}".strip() for n in left}
            quiet = False
        except (OrchestrationUnavailable, StorageBusy) as error:
            if not quiet:
                log.warning("%s The slices under way go on; looking again.", error)
            quiet = True
        time.sleep(poll_s)


def _handle(backfill: Backfill, fleet: Fleet, judge: Judge, n: int, run: Run | None, lost: dict[int, str]) -> None:
    decision = judge.decide(n, run, lambda: held(backfill.lake, backfill.claim(n)))
    attempt = run.attempt if run else 0
    if decision == "bury" and run:
        log.warning("Slice %d is silent: its worker is taken for dead, and it is handed out again.", n)
        fleet.bury(run, "Its worker is silent.")
        if attempt - judge.first[n] + 1 >= judge.tries:
            lost[n] = "its workers died"
        else:
            fleet.submit(n, attempt + 1)
    elif decision == "submit":
        if run and run.state in ENDED:
            what = "was refused by a machine" if run.refused else "failed"
            log.warning("Slice %d %s and is tried again: %s", n, what, run.message)
        fleet.submit(n, attempt + 1)
    elif decision == "give up" and run:
        log.error("Slice %d is given up: %s", n, run.message)
        lost[n] = run.message or run.state.lower()
