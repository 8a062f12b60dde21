"""One holder at a time of a piece of work, over all the machines that share a lake.

A claim is a numbered file; the highest number holds. Its holder counts a beat up in it every few seconds and leaves a
word when it is done. Whoever wants the claim of a holder that is silent makes the next number, which only one can do.
Silence is what the one who waits has watched with its own clock: no two clocks are compared. On one machine a dead
process is seen at once; a machine is known by its boot, since machines made from one image share their names.

A holder that slept through its own succession sees the higher number at its next beat (`Claim.lost`). Until then two
work on the same: that wastes work, and no row of the lake is wrong for it.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tasks.errors import ClaimedElsewhere, RunStopped, StorageBusy
from tasks.lake.notes import Notes
from tasks.lake.store import Lake

log = logging.getLogger("nightscribe")
BEATS = 6  # in the time after which a silent holder is taken for dead


@dataclass
class Claim:
    """What is held, and whether it still is."""

    notes: Notes
    number: int
    owner: dict[str, Any]
    beat: int = 0
    lost: threading.Event = field(default_factory=threading.Event)

    def write(self, *, done: bool = False) -> None:
        self.beat += 1
        self.notes.put(_name(self.number), {"owner": self.owner, "beat": self.beat, "done": done})

    def still_ours(self, _: object = None) -> None:
        """Raise RunStopped when another process took over: what is left is its work."""
        if self.lost.is_set():
            raise RunStopped("Another process took this one for dead and does the rest of its work.")


@dataclass(frozen=True)
class ClaimState:
    """A claim as it was read: `beat` is None when nobody ever held it."""

    number: int = 0
    beat: int | None = None
    done: bool = False
    owner: dict[str, Any] = field(default_factory=dict)

    @property
    def free(self) -> bool:
        """Whether its holder is done, or is a process of this machine that is no more."""
        return self.beat is None or self.done or _died_here(self.owner)


class Watch:
    """Tells the silent from the living by looking again and again; one object watches many claims."""

    def __init__(self, silence_s: float) -> None:
        self.silence_s = silence_s
        self._seen: dict[str, tuple[object, float]] = {}

    def silent(self, name: str, state: object) -> bool:
        """Whether `state` of `name` has not changed for `silence_s` seconds of looking."""
        now = time.monotonic()
        known = self._seen.get(name)
        if known is None or known[0] != state:
            self._seen[name] = (state, now)
            return self.silence_s <= 0
        return now - known[1] >= self.silence_s


def held(lake: Lake, name: str) -> ClaimState:
    """How a claim stands now."""
    notes = Notes(lake, f"_claims/{name}")
    numbers = notes.names()
    if not numbers:
        return ClaimState()
    found = notes.get(numbers[-1])
    if found is None:  # replaced since the listing
        return held(lake, name)
    return ClaimState(int(numbers[-1]), found["beat"], found["done"], found["owner"])


def claim_name(what: str, bucket_id: str) -> str:
    """The name of a claim that an archive has once, whatever characters its own name has."""
    return f"{what}-{hashlib.sha256(bucket_id.encode()).hexdigest()[:12]}"


@contextlib.contextmanager
def claimed(lake: Lake, name: str, *, silence_s: float, **about: Any) -> Iterator[Claim]:
    """Hold `name` while the context lasts, after a silent holder if there is one; `about` is kept beside the owner.

    Raises:
        ClaimedElsewhere: its holder lives. It takes at most `silence_s` seconds to find out.
    """
    claim = _take(lake, name, silence_s, _me() | about)
    ended = threading.Event()
    beating = threading.Thread(target=_beat, args=(claim, ended, silence_s / BEATS), daemon=True)
    beating.start()
    try:
        yield claim
    finally:
        ended.set()
        beating.join()
        with contextlib.suppress(StorageBusy):  # then it is silent, which says the same later
            claim.write(done=True)


def _take(lake: Lake, name: str, silence_s: float, owner: dict[str, Any]) -> Claim:
    notes, watch = Notes(lake, f"_claims/{name}"), Watch(silence_s)
    first: ClaimState | None = None
    while True:
        now = held(lake, name)
        if now.free or watch.silent(name, (now.number, now.beat)):
            claim = Claim(notes, now.number + 1, owner, beat=1)
            if _made(claim):
                for old in notes.names():
                    if int(old) < claim.number:
                        notes.remove(old)
                return claim
        elif first and (first.number, first.beat) != (now.number, now.beat):
            raise ClaimedElsewhere(
                f"{name} is in the hands of process {now.owner['pid']} on {now.owner['host'].partition(' ')[0]}.",
                next="Nothing: what is there to do will be done.",
            )
        first = first or now
        time.sleep(min(1.0, silence_s / BEATS / 4))


def _made(claim: Claim) -> bool:
    """Whether the number is ours. A store that wrote the file and did not say so refuses the client's second try."""
    name = _name(claim.number)
    if claim.notes.create(name, {"owner": claim.owner, "beat": 1, "done": False}):
        return True
    found = claim.notes.get(name)
    return bool(found and found["owner"] == claim.owner)


def _beat(claim: Claim, ended: threading.Event, every_s: float) -> None:
    while not ended.wait(every_s):
        try:
            if int(claim.notes.names()[-1]) > claim.number:
                log.warning("Another process took this one for dead and does its work: %s", claim.notes.uri)
                claim.lost.set()
                return
            claim.write()
        except (StorageBusy, IndexError) as error:
            log.debug("No beat this time: %s", error)


def _name(number: int) -> str:
    return f"{number:08d}"


def _me() -> dict[str, Any]:
    return {"host": _host(), "pid": os.getpid(), "started": _started(psutil.Process()), "token": uuid.uuid4().hex}


def _started(process: psutil.Process) -> float:
    """Seconds from the start of the machine, where psutil counts from there: setting the clock moves its sum."""
    return float(process.create_time() - (psutil.boot_time() if psutil.LINUX else 0.0))


def _host() -> str:
    """This machine, or the part of it in which process numbers mean the same."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{socket.gethostname()} {boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return socket.gethostname()


def _died_here(owner: dict[str, Any]) -> bool:
    if owner.get("host") != _host():
        return False
    try:
        process = psutil.Process(owner["pid"])
        return bool(abs(_started(process) - owner["started"]) > 1 or process.status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False
