"""Hand the slices of a backfill to a fleet, and see each of them done.

A slice is done when the lake says so. Runs that failed are handed out again, and so are runs that are silent: a dead
worker leaves its run "running" for ever. Everything here can be killed and started again: what was handed out is found
again by its slice and its try.

A machine that cannot do any slice (another model, no ffmpeg) refuses all it is given, and faster than others work; one
without the program fails before it can say so. A refusal is therefore no try of the slice, and neither is a run that
failed before it held the slice; the backfill ends when there is nothing else.

With a limit, slices are handed out as others are done: a limit of Prefect's would count dead runs for ever.
"""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from tasks.errors import OrchestrationUnavailable, RunStopped, StorageBusy
from tasks.lake.claims import ClaimState, Watch, held
from tasks.runs.backfill.plan import VIDEO_S
from tasks.runs.backfill.state import Backfill

log = logging.getLogger("nightscribe")
ENDED = ("FAILED", "CRASHED", "CANCELLED")
BROKEN = ("FAILED", "CRASHED")
AT_WORK = ("PENDING", "RUNNING", "CANCELLING")
REFUSED = "Refused"  # the name of a failed state
WITHDRAWN = "Withdrawn"  # the name of a cancelled one
MOST_REFUSALS = 10  # in a row, while nobody is at work
# A worker waits as long as we do for the claim of a dead one: it is not to be taken for dead over that.
PATIENCE = 1.5
# Before a run begins, a cluster may have to start a machine for it and fetch an image.
PATIENCE_AT_THE_START = 10
# A flow says that it has ended a moment after its slice is done.
PATIENCE_AT_THE_END_S = 30.0
LOOK_S = 1.0  # a worker's place is free a second or two after the note of its slice is there


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

    @property
    def withdrawn(self) -> bool:
        """Whether it was taken back before it began."""
        return self.state == "CANCELLED" and self.name == WITHDRAWN


class Fleet(Protocol):
    """Where slices run. OrchestrationUnavailable when it does not answer."""

    def runs(self) -> dict[int, Run]:
        """The newest run of every slice that was ever handed out."""

    def submit(self, slice: int, attempt: int) -> None:
        """Hand out a slice; the same slice and try twice is one run."""

    def bury(self, run: Run, message: str) -> None:
        """A run is dead."""

    def withdraw(self, run: Run) -> None:
        """Take back a run that has not begun."""


Decision = Literal["wait", "submit", "bury", "give up"]


@dataclass
class Judge:
    """Decides about one slice at a time."""

    silence_s: float
    tries: int
    first: dict[int, int] = field(default_factory=dict)
    refusals: int = 0
    looks: dict[str, tuple[int, int | None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.watch = Watch(self.silence_s * PATIENCE)
        self.start = Watch(self.silence_s * PATIENCE_AT_THE_START)
        self.end = Watch(min(PATIENCE_AT_THE_END_S, self.silence_s * PATIENCE))

    def decide(self, slice: int, run: Run | None, claim: Callable[[], ClaimState]) -> Decision:
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
            died = _died(run, now)
            watch = self.start if run.state == "PENDING" else self.watch
            silent = watch.silent(f"{slice}", (run.id, run.state, now.number, now.beat))
            return "bury" if died or silent else "wait"
        if run.state == "COMPLETED":  # another had the slice, or the note was not there yet when we looked
            now = claim()
            silent = self.watch.silent(f"{slice}", (run.id, run.state, now.number, now.beat))
            return "submit" if silent or (now.free and not now.done and now.beat is not None) else "wait"
        if run.withdrawn:
            self.first[slice] = min(self.first[slice], run.attempt) + 1
            return "submit"
        if run.refused or (run.state in BROKEN and claim().owner.get("attempt") != run.attempt):
            self.refusals += 1
            self.first[slice] = min(self.first[slice], run.attempt) + 1
            return "submit"
        if run.state in ENDED:
            return "give up" if run.attempt - self.first[slice] + 1 >= self.tries else "submit"
        return "wait"

    def dead(self, run: Run, now: ClaimState) -> bool | None:
        """Whether a run at work that nobody waits for, and that should end by itself, is dead; None: not known yet."""
        look = (now.number, now.beat)
        if _died(run, now) or (self.end if now.free else self.watch).silent(run.id, (run.state, look)):
            return True
        return None if now.done or self.looks.setdefault(run.id, look) == look else False


def _died(run: Run, now: ClaimState) -> bool:
    # What an earlier try left behind says nothing of this one.
    return now.beat is not None and not now.done and now.free and now.owner.get("attempt") == run.attempt


class Pace:
    """The time that remains, from what was done since the first look."""

    def __init__(self, slices: list[dict[str, Any]]) -> None:
        self.work = [VIDEO_S * part["videos"] + part["media_s"] for part in slices]
        self.first: tuple[float, float] | None = None
        self.last = (0.0, 0.0)

    def left(self, done: set[int], still: list[int]) -> str:
        """In words; empty where nothing can be said."""
        now, sum_done = time.monotonic(), sum(self.work[n] for n in done)
        self.first = self.first or (now, sum_done)
        if sum_done > self.last[1]:
            self.last = (now, sum_done)
        took, made = self.last[0] - self.first[0], self.last[1] - self.first[1]
        if made <= 0 or not still:
            return ""
        rest_s = took / made * sum(self.work[n] for n in still) - (now - self.last[0])
        return f", {max(0.0, rest_s) / 60:.0f} min left"


def drive(
    backfill: Backfill,
    fleet: Fleet,
    *,
    silence_s: float,
    tries: int,
    at_once: int | None = None,
    show: Callable[[int, int, str], None] = lambda done, total, remark: None,
    poll_s: float = 5.0,
) -> dict[int, str]:
    """See all slices done, `at_once` at a time; returns those that were given up, with the reason.

    Raises:
        KeyboardInterrupt: what was handed out goes on without us. RunStopped: somebody called the backfill off.
    """
    judge, pace = Judge(silence_s, tries), Pace(backfill.slices)
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
            at_work = sum(runs[n].state in AT_WORK for n in left if n in runs)
            remark = f"{len(done)} of {len(backfill.slices)} slices, {at_work} at work{pace.left(done, left)}"
            show(sum(backfill.slices[n]["videos"] for n in done), total, remark)
            if not left:
                with contextlib.suppress(OrchestrationUnavailable, StorageBusy):
                    see_off(backfill, fleet, judge, done, poll_s=min(poll_s, LOOK_S))
                return {n: error for n, error in lost.items() if n not in done}
            for n in _within(at_once, left, runs, fleet):
                _handle(backfill, fleet, judge, n, runs.get(n), lost)
            _bury_dead(backfill, fleet, judge, done, runs)
            if judge.refusals >= MOST_REFUSALS:
                said = next((run.message for run in runs.values() if run.state in BROKEN), "")
                lost |= {n: f"No machine takes it. {said}".strip() for n in left}
            quiet = False
        except (OrchestrationUnavailable, StorageBusy) as error:
            if not quiet:
                log.warning("%s The slices under way go on; looking again.", error)
            quiet = True
        _pause(backfill, poll_s, before if at_once else None)


def _within(at_once: int | None, left: list[int], runs: dict[int, Run], fleet: Fleet) -> list[int]:
    """The slices to decide about: those somebody has, and as many more as may be handed out.

    What an earlier call with a higher limit handed out is taken back where nobody has begun it.
    """
    if at_once is None:
        return left
    states = {n: runs[n].state if n in runs else "" for n in left}
    busy = [n for n in left if states[n] in (*AT_WORK, "COMPLETED")]
    waiting = [n for n in left if states[n] == "SCHEDULED"]
    room = max(0, at_once - len(busy))
    for n in waiting[room:]:
        fleet.withdraw(runs[n])
    fresh = [n for n in left if n not in busy and n not in waiting]
    return sorted(busy + (waiting + fresh)[:room])


def _pause(backfill: Backfill, poll_s: float, done: int | None) -> None:
    """Wait; no longer than until more than `done` slices are done, if that is given."""
    until = time.monotonic() + poll_s
    while (rest := until - time.monotonic()) > 0:
        time.sleep(rest if done is None else min(rest, LOOK_S))
        with contextlib.suppress(StorageBusy):
            if done is not None and len(backfill.done()) > done:
                return


def see_off(backfill: Backfill, fleet: Fleet, judge: Judge, slices: Collection[int], *, poll_s: float = LOOK_S) -> int:
    """Wait until no run of these slices is at work but those seen to live; returns how many were taken for dead."""
    dead, told = 0, False
    while True:
        buried, unknown = _bury_dead(backfill, fleet, judge, slices, fleet.runs())
        dead += buried
        if not unknown:
            return dead
        if not told:
            log.warning("%d runs have not ended; waiting to see whether their workers live.", unknown)
            told = True
        time.sleep(poll_s)


def _bury_dead(
    backfill: Backfill, fleet: Fleet, judge: Judge, slices: Collection[int], runs: dict[int, Run]
) -> tuple[int, int]:
    """How many runs of these slices, which nobody waits for, were dead, and of how many that is not known yet."""
    dead = unknown = 0
    for n, run in runs.items():
        if n in slices and run.state in AT_WORK:
            found = judge.dead(run, held(backfill.lake, backfill.claim(n)))
            unknown += found is None
            if found:
                fleet.bury(run, "Its worker is silent.")
                dead += 1
    return dead, unknown


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
        if run and run.state in ENDED and not run.withdrawn:
            what = "was refused by a machine" if run.refused else "failed"
            log.warning("Slice %d %s and is tried again: %s", n, what, run.message)
        fleet.submit(n, attempt + 1)
    elif decision == "give up" and run:
        log.error("Slice %d is given up: %s", n, run.message)
        lost[n] = run.message or run.state.lower()
