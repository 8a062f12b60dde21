"""Files of impossible times, and files that cannot be looked at: each is as good as any, or named and left out, alone."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from conftest import BUCKET, command_environment
from forked import nightscribe
from scanning import empty_bucket, keep, keys, look, put, why

from tasks.lake.views import connect
from tasks.settings import Settings
from tasks.sources import folder as walking
from tasks.sources.bucket import open_bucket

YEAR_30828 = 910_692_730_085  # seconds
YEAR_MINUS_1199 = -99_999_999_999


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return empty_bucket(tmp_path)


@pytest.fixture
def any_time() -> Iterator[Path]:
    """A folder on a file system that keeps any time; those on disks bring them to what they can."""
    for parent in ("/dev/shm", None):
        with tempfile.TemporaryDirectory(dir=parent, prefix="odd times ü ") as made, contextlib.suppress(OSError):
            probe = Path(made, "probe")
            probe.touch()
            os.utime(probe, (YEAR_30828, YEAR_30828))
            if probe.stat().st_mtime == YEAR_30828:
                probe.unlink()
                yield Path(made)
                return
    pytest.skip("no file system here keeps such times")


# -- times of files -----------------------------------------------------------------------------------------------------

TIMES = {
    "30828.mp4": (YEAR_30828, None),
    "-1199.mp4": (YEAR_MINUS_1199, None),
    "10000.mp4": (253_402_300_800, None),
    "in the last second.mp4": (253_402_300_799, None),  # in Tokyo it is the year 10000
    "0.mp4": (-62_135_596_801, None),
    "in the first second.mp4": (-62_135_596_800, None),  # in New York it is the year 0
    "9999.mp4": (253_370_764_800, datetime(9999, 1, 1, tzinfo=UTC)),
    "1601.mp4": (-11_644_473_600, datetime(1601, 1, 1, tzinfo=UTC)),
    "1970.mp4": (0, datetime(1970, 1, 1, tzinfo=UTC)),
    "ordinary.mp4": (1_700_000_000, datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)),
}


def test_files_of_impossible_times_are_found_once_and_in_order(any_time, lake):
    for name, (seconds, _) in TIMES.items():
        put(any_time, name)
        os.utime(any_time / name, (seconds, seconds))
    found = look(any_time, lake)
    assert {item.key: item.modified_at for item in found.work} == {name: when for name, (_, when) in TIMES.items()}
    assert {item.key: item.fingerprint for item in found.work} == {
        name: f"1-{seconds * 10**9}" for name, (seconds, _) in TIMES.items()
    }, "fingerprints are as ever"
    assert [item.key for item in found.work][:4] == ["1601.mp4", "1970.mp4", "ordinary.mp4", "9999.mp4"]
    assert (found.warnings, found.left_out.notes()) == ([], [])
    keep(lake, any_time, found)
    assert look(any_time, lake).work == []
    assert look(any_time, lake, checksum=True).work != []
    bucket = open_bucket(str(any_time), Settings())
    for item in found.work:
        with bucket.fetched(item.key, item.fingerprint, any_time, 0.0) as path:
            assert path.read_bytes() == b"x"
    stored = dict(
        connect(lake).execute("SELECT key, modified_at::VARCHAR FROM videos WHERE modified_at IS NOT NULL").fetchall()
    )
    assert set(stored) == {"9999.mp4", "1601.mp4", "1970.mp4", "ordinary.mp4"}
    os.utime(any_time / "30828.mp4", (YEAR_30828 + 1, YEAR_30828 + 1))
    assert why(look(any_time, lake)) == {"30828.mp4": "changed"}


def command(tmp_path: Path, *arguments: str, **environment: str) -> Any:
    done = nightscribe(*arguments, env=command_environment(tmp_path, **environment))
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout) if "--json" in arguments else done.stdout


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/New_York"])
def test_a_plan_over_impossible_times_is_made_in_every_time_zone(any_time, tmp_path, zone):
    for name, (seconds, _) in TIMES.items():
        put(any_time, name)
        os.utime(any_time / name, (seconds, seconds))
    report = command(tmp_path, "index", str(any_time), "--plan", "--json", TZ=zone)
    assert (report["new"], report["estimate"]["files"]) == (len(TIMES), {"new": len(TIMES)})
    slices = command(tmp_path, "backfill", str(any_time), "--plan", "--json", "--since", "1990-01-01", TZ=zone)[
        "slices"
    ]
    assert sum(part["videos"] for part in slices) == 2


def test_a_file_of_an_impossible_year_is_indexed_once_by_the_command(any_time, tmp_path):
    shutil.copy(BUCKET / "unsorted" / "clouds.mp4", any_time / "clouds.mp4")
    shutil.copy(BUCKET / "unsorted" / "clouds.json", any_time / "clouds.json")
    for path in any_time.iterdir():
        os.utime(path, (YEAR_30828, YEAR_30828))
    first = command(tmp_path, "index", str(any_time), "--json")
    assert (first["scanned"], first["no_audio"], first["failed"]) == (1, 1, 0)
    second = command(tmp_path, "index", str(any_time), "--json")
    assert (second["scanned"], second["unchanged"], second["no_audio"]) == (1, 1, 0)


# -- files that cannot be looked at -------------------------------------------------------------------------------------
# No file system here fails so: the entries of a real folder are made to.


class Entry:
    """An entry of a real folder, one thing of which is otherwise."""

    def __init__(self, entry: os.DirEntry[str], **otherwise: Callable[..., Any]) -> None:
        self.name, self.path = entry.name, entry.path
        for method in ("is_dir", "is_file", "is_symlink", "stat"):
            setattr(self, method, otherwise.get(method, getattr(entry, method)))


@pytest.fixture
def entries(monkeypatch) -> Callable[[dict[str, Any]], None]:
    """Makes entries of these names otherwise, in every folder."""

    def make(odd: dict[str, dict[str, Callable[..., Any]]]) -> None:
        real = os.scandir

        @contextlib.contextmanager
        def scandir(path: str) -> Iterator[Iterator[Any]]:
            with real(path) as found:
                yield (Entry(entry, **odd[entry.name]) if entry.name in odd else entry for entry in found)

        monkeypatch.setattr(walking.os, "scandir", scandir)

    return make


def fails(error: Exception) -> Callable[..., Any]:
    def fail(*_: Any, **__: Any) -> Any:
        raise error

    return fail


@pytest.mark.parametrize(
    ("method", "error"),
    [
        ("stat", OSError(errno.EIO, "Input/output error")),
        ("stat", OSError(errno.EOVERFLOW, "Value too large for defined data type")),
        ("stat", PermissionError(errno.EACCES, "Permission denied")),
        ("stat", OSError(errno.ESTALE, "Stale file handle")),
        ("stat", ValueError("timestamp out of range for platform time_t")),
        ("stat", OverflowError("Python int too large to convert to C long")),
        ("is_dir", OSError(errno.EIO, "Input/output error")),
        ("is_file", OSError(errno.EIO, "Input/output error")),
    ],
)
def test_a_file_that_cannot_be_looked_at_is_named_and_hides_no_other(folder, lake, entries, method, error):
    put(folder, "a.mp4", "sub/bad.mp4", "sub/b.mp4", "z.mp4", "gone.mp4", "sub/bad.txt")
    keep(lake, folder, look(folder, lake))
    (folder / "gone.mp4").unlink()
    put(folder, "sub/new.mp4")
    entries({"bad.mp4": {method: fails(error)}, "bad.txt": {method: fails(error)}})
    found = look(folder, lake)
    assert (found.scanned, why(found)) == (4, {"sub/new.mp4": "new"})
    assert [item.key for item in found.gone] == ["gone.mp4"], "the bad one is not"
    said, kept = found.warnings
    reason = getattr(error, "strerror", None) or str(error)
    assert said == (
        "1 object was left out, as nothing usable can be found out about it, and not marked as gone: "
        f"sub/bad.mp4 ({reason})."
    )
    assert "1 video that the lake knows could not be seen" in kept
    assert found.left_out.as_json()["odd"] == 1
    assert found.left_out.as_json()["extensions"] == {"txt": 1}


def test_a_name_that_cannot_be_written_in_any_way_is_left_out(folder, entries):
    put(folder, "a.mp4", "bad.mp4")
    real = walking.to_key
    odd = "\ud800.mp4"  # no file system hands it out: such bytes come as \udc80 to \udcff
    with pytest.raises(UnicodeEncodeError):
        real(odd)
    entries({"bad.mp4": {}})
    before = Entry.__init__

    def named(self: Entry, entry: os.DirEntry[str], **otherwise: Any) -> None:
        before(self, entry, **otherwise)
        self.name = odd

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Entry, "__init__", named)
        found = look(folder)
    assert keys(found) == {"a.mp4"}
    assert "\\ud800.mp4 ('utf-8' codec" in found.warnings[0]


@pytest.mark.parametrize("size", [-1, -(2**40), 2**63])
def test_a_size_that_cannot_be_is_none(folder, lake, entries, size):
    put(folder, "a.mp4", "bad.mp4")
    info = os.stat(folder / "bad.mp4")
    sized = os.stat_result([*info[:6], size, *info[7:10]], {"st_mtime_ns": info.st_mtime_ns, "st_mtime": info.st_mtime})
    entries({"bad.mp4": {"stat": lambda **_: sized}})
    found = look(folder, lake)
    bad = {item.key: item for item in found.work}["bad.mp4"]
    assert (bad.size_bytes, bad.fingerprint) == (0, f"{size}-{info.st_mtime_ns}")
    keep(lake, folder, found)
    assert look(folder, lake).work == []


def test_a_folder_whose_listing_breaks_off_hides_only_itself(folder, lake, monkeypatch):
    put(folder, "a.mp4", "m/b.mp4", "z/c.mp4")
    keep(lake, folder, look(folder, lake))
    real = os.scandir

    @contextlib.contextmanager
    def scandir(path: str) -> Iterator[Iterator[Any]]:
        def broken(found: Iterator[Any]) -> Iterator[Any]:
            yield from found
            raise RuntimeError("a driver's own fault")

        with real(path) as found:
            yield broken(found) if path.endswith("/m") else found

    monkeypatch.setattr(walking.os, "scandir", scandir)
    put(folder, "z/new.mp4", "m/other.mp4")
    found = look(folder, lake)
    assert (why(found), found.gone) == ({"z/new.mp4": "new", "m/other.mp4": "new"}, [])
    assert "broke off: a driver's own fault" in found.warnings[0]


def test_a_lake_takes_the_earliest_and_the_latest_time(lake, result):
    from tasks.lake.commit import commit
    from tasks.sources.values import EARLIEST, LATEST

    for n, when in enumerate((EARLIEST, LATEST, None)):
        made = result("hello", key=f"{n}.mp4", video_id=f"{n:020d}")
        commit(lake, [replace(made, work=replace(made.work, modified_at=when))], run_id="r", device="cpu")

    stored = connect(lake).execute("SELECT year(modified_at) FROM videos ORDER BY key").fetchall()
    assert stored == [(1,), (9999,), (None,)]
