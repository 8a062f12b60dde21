"""What stores say of objects that cannot be: each object is as good as any, or named and left out, alone."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from scanning import NOW, RECIPES, keep, keys, look, why

from tasks.errors import ObjectChanged, StorageBusy
from tasks.lake.views import connect
from tasks.records import Object
from tasks.runs.scan import scan
from tasks.settings import Settings
from tasks.sources.bucket import Bucket
from tasks.sources.left_out import Unseen
from tasks.sources.stores import FsspecStore
from tasks.sources.values import size_of, time_of

YEAR_30828 = 910_692_730_085  # seconds
YEAR_MINUS_1199 = -99_999_999_999


# -- values of stores ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "when"),
    [
        (datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC), datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (datetime(2024, 1, 2, 3, 4, 5), datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (datetime(2024, 1, 2, 3, tzinfo=timezone(timedelta(hours=2))), datetime(2024, 1, 2, 1, tzinfo=UTC)),
        ("2024-01-02T03:04:05Z", datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2024-01-02 03:04:05", datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("Tue, 02 Jan 2024 03:04:05 GMT", datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (1704164645, datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (1704164645.0, datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        *[
            (odd, None)
            for odd in (
                None, "", "yesterday", "30828-01-01T00:00:00Z", "-1199-01-01T00:00:00Z", "Mon, 01 Jan 30828 00:00:00 GMT",
                float("nan"), float("inf"), -1e300, 10**400, YEAR_30828, YEAR_MINUS_1199, b"2024", [], {}, NotImplemented,
                datetime.max, datetime.min, datetime.max.replace(tzinfo=timezone(timedelta(hours=-12))),
                datetime.min.replace(tzinfo=timezone(timedelta(hours=12))),
            )
        ],
    ],
    ids=repr,
)  # fmt: skip
def test_a_time_is_in_utc_or_none(said, when):
    assert time_of(said) == when


def test_a_size_is_a_number_of_bytes_or_none():
    assert [size_of(said) for said in (0, 5, "12", 12.0, 2**63 - 1)] == [0, 5, 12, 12, 2**63 - 1]
    for odd in (None, -1, "", "abc", "-5", 2**63, float("nan"), float("inf"), [], NotImplemented, "9" * 5000):
        assert size_of(odd) is None


class OddStore(MemoryFileSystem):
    """An object store that says of some objects what it was told to say, or nothing where that is None."""

    protocol = "oddstore"
    cachable = False

    def __init__(self, odd: dict[str, Any], alone: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.odd, self.alone = odd, alone or {}

    def ls(self, path, detail=True, **kwargs):
        for info in super().ls(path, detail=detail, **kwargs):
            name = info["name"].rpartition("/")[2]
            told = self.odd.get(name, {})
            if isinstance(told, Exception):
                raise told
            yield self._told(info, told) if isinstance(told, dict) else told

    def info(self, path, **kwargs):
        name = path.rpartition("/")[2]
        told = {**(self.odd.get(name) or {}), **self.alone.get(name, {})}
        return self._told(super().info(path, **kwargs), told)

    @staticmethod
    def _told(info: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in {**info, **told}.items() if value is not ...}


@pytest.fixture
def memory() -> Iterator[MemoryFileSystem]:
    store = MemoryFileSystem()
    store.store.clear()
    store.pseudo_dirs[:] = [""]
    yield store
    store.store.clear()


def odd_bucket(odd: dict[str, Any], alone: dict[str, Any] | None = None) -> Bucket:
    store = FsspecStore(OddStore(odd, alone), "/archive", Settings())
    return Bucket("memory://archive", "memory://archive", "/archive", False, store)


NO_TIME = {"created": ...}


@pytest.mark.parametrize(
    ("told", "size", "fingerprint", "when"),
    [
        ({"created": YEAR_30828}, 7, f"7-{YEAR_30828}", None),
        ({"created": float("nan")}, 7, "7-nan", None),
        ({"created": 10**400}, 7, "None", None),
        ({"created": "30828-01-01T00:00:00Z"}, 7, "7-30828-01-01T00:00:00Z", None),
        ({"created": "2024-01-02T00:00:00Z"}, 7, "7-2024-01-02T00:00:00Z", datetime(2024, 1, 2, tzinfo=UTC)),
        ({"created": datetime(2024, 1, 2)}, 7, "7-2024-01-02 00:00:00+00:00", datetime(2024, 1, 2, tzinfo=UTC)),
        ({"created": datetime.max}, 7, "7-9999-12-31 23:59:59.999999+00:00", None),
        ({"created": 1704153600}, 7, "7-2024-01-02 00:00:00+00:00", datetime(2024, 1, 2, tzinfo=UTC)),
        ({"created": ..., "mtime": 0}, 7, "7-1970-01-01 00:00:00+00:00", datetime(1970, 1, 1, tzinfo=UTC)),
        ({"created": NotImplemented}, 7, "7-None", None),
        (NO_TIME, 7, "7-None", None),
        ({**NO_TIME, "ETag": '"abc"'}, 7, "abc", None),
        ({**NO_TIME, "ETag": ""}, 7, "7-None", None),
        ({"created": 1704153600, "ETag": '""'}, 7, "7-2024-01-02 00:00:00+00:00", datetime(2024, 1, 2, tzinfo=UTC)),
        ({"created": 1704153600, "ETag": "\udcff"}, 7, "7-2024-01-02 00:00:00+00:00", datetime(2024, 1, 2, tzinfo=UTC)),
        ({**NO_TIME, "size": -3, "ETag": "abc"}, 0, "abc", None),
        ({**NO_TIME, "size": ..., "ETag": "abc"}, 0, "abc", None),
        ({**NO_TIME, "size": "many", "ETag": "abc"}, 0, "abc", None),
        ({**NO_TIME, "size": float("nan"), "ETag": "abc"}, 0, "abc", None),
        ({**NO_TIME, "size": 2**70, "ETag": "abc"}, 0, "abc", None),
        ({"created": 1704153600, "size": None}, 0, "None-2024-01-02 00:00:00+00:00", datetime(2024, 1, 2, tzinfo=UTC)),
        ({"type": ...}, 7, None, ...),
    ],
    ids=repr,
)  # fmt: skip
def test_an_odd_object_of_a_store_is_indexed_and_known_again(memory, lake, tmp_path, told, size, fingerprint, when):
    memory.pipe({"/archive/a.mp4": b"a", "/archive/odd.mp4": b"content", "/archive/z.mp4": b"z"})
    bucket = odd_bucket({"odd.mp4": told})
    found = look(bucket, lake)
    assert (keys(found), found.warnings) == ({"a.mp4", "odd.mp4", "z.mp4"}, [])
    odd = {item.key: item for item in found.work}["odd.mp4"]
    assert odd.size_bytes == size
    assert fingerprint in (None, "None", odd.fingerprint)
    assert when in (..., odd.modified_at)
    with bucket.fetched("odd.mp4", odd.fingerprint, tmp_path, 0.0) as path:
        assert path.read_bytes() == b"content"
    keep(lake, "memory://archive", found)
    assert look(bucket, lake).work == [], "it is the same in the next run"
    assert look(bucket, lake).gone == []


def test_what_a_listing_does_not_say_is_asked_of_the_object(memory, tmp_path):
    memory.pipe({"/archive/a.mp4": b"content"})
    bare = {"created": ..., "size": None}
    bucket = odd_bucket({"a.mp4": bare}, alone={"a.mp4": {"size": 7, "ETag": "tag"}})
    (item,) = bucket.list()
    assert (item.size_bytes, item.fingerprint) == (7, "tag")
    with bucket.fetched("a.mp4", "tag", tmp_path, 0.0) as path:
        assert path.read_bytes() == b"content"


@pytest.mark.parametrize(
    ("told", "named"),
    [
        (None, "without a name"),
        ("a text", "a text"),
        (["a", "list"], "without a name"),
        ({"name": ...}, "without a name"),
        ({"name": None}, "without a name"),
        ({"name": b"/archive/odd.mp4"}, "without a name"),
        ({"name": ""}, "without a name"),
        ({"name": "/archive/no\udce9.mp4"}, "no\\udce9.mp4 (its name is no Unicode)"),
        ({"name": "/archive/\ud800.mp4"}, "\\ud800.mp4 (its name is no Unicode)"),
    ],
    ids=ascii,
)
def test_an_entry_that_is_none_is_left_out_alone_and_named(memory, lake, told, named):
    memory.pipe({"/archive/a.mp4": b"a", "/archive/odd.mp4": b"content", "/archive/z.mp4": b"z"})
    keep(lake, "memory://archive", look("memory://archive", lake))
    found = look(odd_bucket({"odd.mp4": told}), lake)
    assert (found.scanned, found.left_out.as_json()["odd"]) == (2, 1)
    assert named in found.warnings[0]
    unnamed = named == "without a name"
    assert [item.key for item in found.gone] == ([] if unnamed else ["odd.mp4"])
    assert all("Traceback" not in said for said in found.warnings)


@pytest.mark.parametrize(
    "error", [OSError("reset"), ValueError("bad date"), KeyError("name"), RuntimeError("x" * 5000)]
)
def test_a_folder_that_a_driver_stumbles_over_hides_only_itself(memory, lake, error):
    memory.pipe({"/archive/m/odd.mp4": b"o", "/archive/a.mp4": b"a", "/archive/z/z.mp4": b"z"})
    keep(lake, "memory://archive", look("memory://archive", lake))
    memory.pipe({"/archive/z/new.mp4": b"n", "/archive/a/new.mp4": b"n"})
    found = look(odd_bucket({"odd.mp4": error}), lake)
    assert (why(found), found.gone) == ({"z/new.mp4": "new", "a/new.mp4": "new"}, [])
    assert "broke off: " in found.warnings[0]
    assert len(found.warnings[0]) < 1500


def test_a_store_whose_folders_all_fail_is_given_up_soon(memory):
    memory.pipe({f"/archive/{n}/v.mp4": b"v" for n in range(50)} | {"/archive/a.mp4": b"a"})
    bucket = odd_bucket({})
    asked = []

    def ls(path, detail=True, **kwargs):
        asked.append(path)
        if path != "/archive":
            raise OSError("no route to host")
        return MemoryFileSystem.ls(memory, path, detail=detail, **kwargs)

    bucket.store.filesystem.ls = ls
    found = look(bucket)
    assert (keys(found), len(asked)) == ({"a.mp4"}, 4)
    assert "no route to host" in found.warnings[0]


def test_a_store_of_any_kind_cannot_bring_the_scan_down(lake):
    """Objects as no store of ours would make them: the last look before DuckDB."""
    odd = [
        Object("negative.mp4", -5, "f"),
        Object("huge.mp4", 2**70, "f"),
        Object("nan.mp4", float("nan"), "f"),  # type: ignore[arg-type]
        Object("text.mp4", "7", "f"),  # type: ignore[arg-type]
        Object("naive.mp4", 1, "f", datetime(2024, 1, 2)),
        Object("late.mp4", 1, "f", datetime.max.replace(tzinfo=UTC)),
        Object("later.mp4", 1, "f", datetime.max.replace(tzinfo=timezone(timedelta(hours=-12)))),
        Object("early.mp4", 1, "f", datetime.min.replace(tzinfo=UTC)),
        Object("said.mp4", 1, "f", "2024-01-02"),  # type: ignore[arg-type]
        Object("number.mp4", 1, "f", 1704153600.0),  # type: ignore[arg-type]
        Object("no\ud800.mp4", 1, "f"),
        Object("tagless.mp4", 1, None),  # type: ignore[arg-type]
        Object("empty tag.mp4", 1, ""),
        Object("bad tag.mp4", 1, "\udcff"),
        Object("with a nul\0.mp4", 1, "f"),
    ]

    class Store:
        def objects(self) -> Iterator[Object | Unseen]:
            yield from (Object(f"{n}.mp4", 1, "f", NOW) for n in range(3))
            yield from odd
            yield Object("last.mp4", 1, "f", NOW)

    bucket = Bucket("odd://archive", "odd://archive", "archive", False, Store())  # type: ignore[arg-type]
    found = look(bucket, lake)
    left_out = {"no\ud800.mp4", "tagless.mp4", "empty tag.mp4", "bad tag.mp4"}
    assert keys(found) == {item.key for item in odd} - left_out | {"0.mp4", "1.mp4", "2.mp4", "last.mp4"}
    sizes = {item.key: item.size_bytes for item in found.work}
    assert (sizes["negative.mp4"], sizes["huge.mp4"], sizes["nan.mp4"], sizes["text.mp4"]) == (0, 0, 0, 7)
    times = {item.key: item.modified_at for item in found.work}
    assert [times[f"{name}.mp4"] for name in ("late", "later", "early")] == [None] * 3
    assert [times[f"{name}.mp4"] for name in ("naive", "said", "number")] == [datetime(2024, 1, 2, tzinfo=UTC)] * 3
    assert "4 objects were left out" in found.warnings[0]


@pytest.mark.parametrize("error", [ValueError("bad date"), OSError("reset"), RuntimeError("\udcff")])
def test_a_store_that_stumbles_in_the_middle_is_a_listing_that_broke_off(error, lake):
    class Store:
        def objects(self) -> Iterator[Object]:
            yield Object("a.mp4", 1, "f", NOW)
            raise error

    bucket = Bucket("odd://archive", "odd://archive", "archive", False, Store())  # type: ignore[arg-type]
    found = look(bucket, lake)
    assert keys(found) == {"a.mp4"}
    assert "The listing of odd://archive broke off" in found.warnings[0]
    found.warnings[0].encode()
    with pytest.raises(StorageBusy):
        list(bucket.list())


def test_an_object_that_vanishes_before_it_is_read_is_changed(memory, tmp_path):
    memory.pipe({"/archive/a.mp4": b"a"})
    bucket = odd_bucket({"a.mp4": {"created": YEAR_30828}})
    (item,) = bucket.list()
    memory.rm("/archive/a.mp4")
    with pytest.raises(ObjectChanged, match="removed"), bucket.fetched("a.mp4", item.fingerprint, tmp_path, 0.0):
        raise AssertionError("it is not there")


def test_a_slice_of_a_backfill_takes_odd_objects_as_they_were_planned(lake):
    planned = [Object("a.mp4", 1, "f", None), Object("b.mp4", 0, "g", NOW)]
    bucket = Bucket("odd://archive", "odd://archive", "archive", False, None)
    found = scan(bucket, connect(lake), RECIPES, Settings(exclude=("*",)), now=NOW, objects=planned)
    assert [item.key for item in found.work] == ["b.mp4", "a.mp4"]
    assert found.left_out.as_json()["pattern"] == 0
