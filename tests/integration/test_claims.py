"""One holder at a time of a piece of work, over processes and machines."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time

import psutil
import pytest
from conftest import REPO
from s3_server import Refuse, faulty, s3  # noqa: F401

from tasks.errors import ClaimedElsewhere
from tasks.lake import claims
from tasks.lake.claims import claimed, held
from tasks.lake.notes import Notes
from tasks.lake.store import Lake

HOLD = """
import sys, time
from tasks.lake.claims import claimed
from tasks.lake.store import Lake
with claimed(Lake(sys.argv[1]), "night", silence_s=float(sys.argv[2])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture(params=["disk", "s3"])
def place(request, tmp_path) -> Lake:
    if request.param == "s3":
        request.getfixturevalue("s3")
        return Lake("s3://lake/the lake")
    return Lake(str(tmp_path / "lake"))


def start(lake: Lake, silence_s: float) -> subprocess.Popen:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, lake.uri, str(silence_s)], cwd=REPO, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


def end(holder: subprocess.Popen) -> None:
    holder.kill()
    holder.wait()
    holder.stdout.close()


def test_what_a_living_process_holds_is_refused_and_what_a_killed_one_held_is_taken(place):
    holder = start(place, 2)
    try:
        with pytest.raises(ClaimedElsewhere, match=str(holder.pid)), claimed(place, "night", silence_s=2):
            raise AssertionError("two hold it")
    finally:
        end(holder)
    started = time.monotonic()
    with claimed(place, "night", silence_s=60) as claim:
        assert time.monotonic() - started < 20, "a process of this machine is seen to be dead at once"
        assert claim.number == 2
    assert held(place, "night").done


def test_a_holder_on_another_machine_is_taken_for_dead_when_it_is_silent(tmp_path, monkeypatch):
    lake = Lake(str(tmp_path / "lake"))
    elsewhere = {"host": "another machine", "pid": 1, "started": 0.0}
    Notes(lake, "_claims/night").create("00000004", {"owner": elsewhere, "beat": 9, "done": False})
    started = time.monotonic()
    with claimed(lake, "night", silence_s=0.6) as claim:
        assert time.monotonic() - started >= 0.6
        assert claim.number == 5
    assert Notes(lake, "_claims/night").names() == ["00000005"]


def test_a_holder_that_was_taken_for_dead_learns_of_it(tmp_path, monkeypatch):
    lake = Lake(str(tmp_path / "lake"))
    with claimed(lake, "night", silence_s=0.6) as claim:
        Notes(lake, "_claims/night").create("00000002", {"owner": claim.owner, "beat": 1, "done": False})
        assert claim.lost.wait(5)
    assert held(lake, "night").number == 2, "its end changes nothing for the one that came after"


def test_of_many_that_want_it_at_once_one_gets_it(place):
    got, refused, answered = [], [], threading.Barrier(6, timeout=60)

    def want(n: int) -> None:
        try:
            with claimed(place, "night", silence_s=10):
                got.append(n)
                answered.wait()  # not a time: on a busy machine, the last to ask may come when the first has gone
        except ClaimedElsewhere:
            refused.append(n)
            answered.wait()

    threads = [threading.Thread(target=want, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(got), len(refused)) == (1, 5)


def test_a_number_of_an_old_process_does_not_keep_a_claim(tmp_path):
    lake = Lake(str(tmp_path / "lake"))
    with claimed(lake, "night", silence_s=5):
        pass
    note = json.loads((tmp_path / "lake/_claims/night/00000001").read_text())
    # The process number is in use again, by a process that began at another time.
    note = {"owner": {**note["owner"], "pid": 1}, "beat": 3, "done": False}
    Notes(lake, "_claims/night").put("00000001", note)
    assert claims.held(lake, "night").free


def test_a_claim_that_the_store_wrote_and_did_not_confirm_is_ours(faulty):
    def rule(request):
        return Refuse(500, "InternalError", done=True) if (request.method, request.number) == ("PUT", 1) else None

    faulty.rule = rule
    with claimed(Lake("s3://lake/here"), "night", silence_s=60) as claim:  # else it would wait for itself
        assert claim.number == 1
    assert any("If-None-Match" in request.headers for request in faulty.seen if request.method == "PUT")


def test_a_clock_that_is_set_makes_no_living_process_dead(tmp_path, monkeypatch):
    lake = Lake(str(tmp_path / "lake"))
    with claimed(lake, "night", silence_s=5):
        booted = psutil.boot_time()
        monkeypatch.setattr(psutil._psplatform, "boot_time", lambda: booted + 3600)  # as /proc/stat says it then
        monkeypatch.setattr(psutil, "boot_time", lambda: booted + 3600)
        assert not held(lake, "night").free


def test_a_machine_of_the_same_name_is_another_one(tmp_path):
    lake = Lake(str(tmp_path / "lake"))
    with claimed(lake, "night", silence_s=5):
        pass
    note = json.loads((tmp_path / "lake/_claims/night/00000001").read_text())
    name, boot, space = note["owner"]["host"].split(" ")
    elsewhere = f"{name} {'0' * len(boot)} {space}"
    note = {"owner": {**note["owner"], "host": elsewhere, "pid": 2**22 + 1}, "beat": 3, "done": False}
    Notes(lake, "_claims/night").put("00000001", note)
    assert not held(lake, "night").free
