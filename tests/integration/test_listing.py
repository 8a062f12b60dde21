"""What a scan takes for a video, on real folders and on an object store in memory, and what a listing that breaks off costs."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from scanning import empty_bucket, keep, keys, look, put, why

from tasks.errors import AccessDenied, BucketNotFound, MissingTool, ObjectChanged, StorageBusy
from tasks.records import Object
from tasks.settings import Settings
from tasks.sources.bucket import Bucket, open_bucket
from tasks.sources.stores import FsspecStore

posix_names = pytest.mark.skipif(sys.platform != "linux", reason="these file names need a Linux file system")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return empty_bucket(tmp_path)


@pytest.fixture
def memory() -> Iterator[MemoryFileSystem]:
    """An empty object store."""
    store = MemoryFileSystem()
    store.store.clear()
    store.pseudo_dirs[:] = [""]
    yield store
    store.store.clear()


# -- candidates ---------------------------------------------------------------------------------------------------------


def test_candidates_have_a_media_extension_or_none(folder):
    put(folder, "a.mp4", "B.MKV", "sound.opus", "no extension", "talk 3. part two", "a.pdf", "a.txt", "a.mp4.part")
    assert keys(look(folder)) == {"a.mp4", "B.MKV", "sound.opus", "no extension", "talk 3. part two"}


def test_sidecars_subtitles_pictures_and_hidden_files_are_no_candidates(folder):
    put(folder, "a.json", "a.info.json", "a.vtt", "a.srt", "a.en.srt", "a.jpg", ".DS_Store", ".hidden.mp4", "._a.mp4")
    found = look(folder)
    assert (found.scanned, found.work) == (0, [])


def test_include_and_exclude_choose_by_key(folder):
    put(folder, "news/1.mp4", "news/deep/2.mp4", "drafts/3.mp4", "news/draft.mp4")
    assert keys(look(folder, include=("news/*",))) == {"news/1.mp4", "news/deep/2.mp4", "news/draft.mp4"}
    assert keys(look(folder, include=("news/*",), exclude=("*draft*",))) == {"news/1.mp4", "news/deep/2.mp4"}
    assert keys(look(folder, exclude=("news/*",))) == {"drafts/3.mp4"}


def test_what_is_left_out_this_time_is_not_gone(folder, lake):
    put(folder, "news/1.mp4", "drafts/2.mp4", "drafts/3.mkv")
    keep(lake, folder, look(folder, lake))
    assert look(folder, lake, exclude=("drafts/*",)).gone == []
    assert look(folder, lake, include=("news/*",)).gone == []
    assert look(folder, lake, media_extensions=("mp4",)).gone == []


# -- listings that say too little ---------------------------------------------------------------------------------------


def test_an_empty_listing_marks_nothing_as_gone_and_says_so(folder, lake):
    put(folder, "a.mp4", "b.mp4")
    keep(lake, folder, look(folder, lake))
    for path in folder.iterdir():
        path.unlink()
    found = look(folder, lake)
    assert (found.gone, found.work, found.scanned) == ([], [], 0)
    assert len(found.warnings) == 1
    assert "lists no video, but the lake knows 2: nothing is marked as gone" in found.warnings[0]


def test_an_empty_bucket_and_an_empty_lake_are_no_reason_to_warn(folder, lake):
    assert look(folder, lake).warnings == []


class BreakingStore(MemoryFileSystem):
    """An object store that stops answering in one folder."""

    protocol = "breaking"
    cachable = False

    def ls(self, path, detail=True, **kwargs):
        if str(path).rstrip("/").endswith("/broken"):
            raise OSError("connection reset by peer")
        return super().ls(path, detail=detail, **kwargs)


def breaking(memory: MemoryFileSystem) -> Bucket:
    store = FsspecStore(BreakingStore(), "/archive", Settings())
    return Bucket("memory://archive", "memory://archive", "/archive", False, store)


def test_a_listing_that_breaks_off_marks_nothing_as_gone_and_keeps_what_it_saw(memory, lake):
    memory.pipe({"/archive/a.mp4": b"a", "/archive/b.mp4": b"b", "/archive/broken/c.mp4": b"c"})
    keep(lake, "memory://archive", look("memory://archive", lake))
    memory.rm("/archive/a.mp4")
    memory.pipe({"/archive/new.mp4": b"new"})
    assert [item.key for item in look("memory://archive", lake).gone] == ["a.mp4"]
    found = look(breaking(memory), lake)
    assert found.gone == []
    assert why(found) == {"new.mp4": "new"}
    assert (found.scanned, found.unchanged) == (2, 1)
    assert "broke off: connection reset by peer" in found.warnings[0]


def test_a_listing_that_breaks_off_before_the_first_object_is_an_error(memory, lake):
    memory.pipe({"/archive/broken/c.mp4": b"c"})
    with pytest.raises(StorageBusy, match="broke off: connection reset by peer"):
        look(breaking(memory), lake)


def test_a_folder_that_cannot_be_listed_hides_only_itself(folder, lake):
    put(folder, "a.mp4", "z.mp4", "m/b.mp4")
    keep(lake, folder, look(folder, lake))
    (folder / "a.mp4").unlink()
    # Longer than any path may be, and so not to be opened by its name, even by an administrator.
    at = os.open(folder, os.O_RDONLY)
    try:
        for _ in range(20):
            os.mkdir("d" * 250, dir_fd=at)
            inner = os.open("d" * 250, os.O_RDONLY, dir_fd=at)
            os.close(at)
            at = inner
    finally:
        os.close(at)
    put(folder, "m/new.mp4")
    found = look(folder, lake)
    assert (why(found), found.gone) == ({"m/new.mp4": "new"}, [])
    assert "File name too long" in found.warnings[0]


def test_a_file_that_vanishes_while_its_folder_is_listed_is_passed_over(folder):
    put(folder, *(f"{n}.mp4" for n in range(5)))
    listing = open_bucket(str(folder), Settings()).list()
    first = next(listing)
    for path in folder.iterdir():
        path.unlink()
    assert [first.size_bytes, *listing] == [1]


def test_a_folder_that_vanishes_while_the_bucket_is_listed_is_passed_over(folder):
    put(folder, "a.mp4", "sub/b.mp4")
    listing = open_bucket(str(folder), Settings()).list()
    assert next(listing).key == "a.mp4"
    (folder / "sub" / "b.mp4").unlink()
    (folder / "sub").rmdir()
    assert list(listing) == []


def test_a_bucket_that_vanishes_is_an_error(folder):
    bucket = open_bucket(str(folder), Settings())
    folder.rmdir()
    with pytest.raises(StorageBusy, match="broke off"):
        list(bucket.list())


# -- links and names ----------------------------------------------------------------------------------------------------


def test_links_out_of_the_bucket_are_not_listed_and_links_within_are(folder, tmp_path):
    put(folder, "a.mp4")
    put(tmp_path / "outside", "secret.mp4")
    (folder / "escape.mp4").symlink_to(tmp_path / "outside" / "secret.mp4")
    (folder / "outside").symlink_to(tmp_path / "outside")
    (folder / "same.mp4").symlink_to(folder / "a.mp4")
    (folder / "dangling.mp4").symlink_to(folder / "nowhere.mp4")
    assert keys(look(folder)) == {"a.mp4", "same.mp4"}


def test_links_in_a_circle_do_not_stop_a_scan(folder):
    put(folder, "a.mp4")
    (folder / "self.mp4").symlink_to("self.mp4")
    (folder / "loop").symlink_to(folder)
    found = look(folder)
    assert (keys(found), found.warnings) == ({"a.mp4"}, [])


def test_pipes_and_sockets_are_not_listed(folder):
    put(folder, "a.mp4")
    os.mkfifo(folder / "pipe.mp4")
    assert keys(look(folder)) == {"a.mp4"}


@posix_names
def test_files_with_odd_names_are_found_known_again_and_read(folder, lake):
    names = [
        "with space.mp4",
        "日本語/ümlaut é.mp4",
        "new\nline.mp4",
        "tab\t'quote\" ; -- .mp4",
        "100%25.mp4",
        "*?[x].mp4",
    ]
    put(folder, *names)
    found = look(folder, lake)
    assert keys(found) == set(names)
    keep(lake, folder, found)
    assert (look(folder, lake).work, look(folder, lake).gone) == ([], [])
    bucket = open_bucket(str(folder), Settings())
    assert [b"".join(bucket.sidecar(name)) for name in names] == [b"x"] * 6


@posix_names
def test_a_name_that_is_no_utf8_becomes_a_key_that_leads_back_to_the_file(folder, lake):
    with open(os.fsencode(folder) + b"/caf\xe9.mp4", "wb") as handle:
        handle.write(b"latin-1")
    found = look(folder, lake)
    assert keys(found) == {"caf\\xe9.mp4"}
    keep(lake, folder, found)
    assert look(folder, lake).work == []
    assert list(open_bucket(str(folder), Settings()).sidecar("caf\\xe9.mp4")) == [b"latin-1"]


@posix_names
def test_a_name_that_looks_like_an_escape_is_another_file_than_the_one_it_spells(folder):
    with open(os.fsencode(folder) + b"/caf\xe9.mp4", "wb") as handle:
        handle.write(b"a byte")
    put(folder, "caf\\xe9.mp4", "back\\slash.mp4", data=b"an escape")
    bucket = open_bucket(str(folder), Settings())
    contents = sorted(b"".join(bucket.sidecar(item.key)) for item in bucket.list())
    assert contents == [b"a byte", b"an escape", b"an escape"]
    assert len({item.video_id for item in look(folder).work}) == 3


def test_a_file_name_full_of_sql_is_only_a_name(folder, lake):
    put(folder, "'); DROP TABLE videos; --.mp4")
    keep(lake, folder, look(folder, lake))
    assert (look(folder, lake).work, look(folder, lake).gone) == ([], [])


@pytest.mark.parametrize("key", ["../secret.mp4", "a/../../secret.mp4", "/etc/passwd", "\\x2e\\x2e/secret.mp4"])
def test_a_key_that_leads_out_of_the_bucket_is_refused(folder, tmp_path, key):
    put(tmp_path, "secret.mp4")
    with pytest.raises(AccessDenied, match="lead out of the bucket"):
        list(open_bucket(str(folder), Settings()).sidecar(key))


def test_a_file_behind_a_link_out_of_the_bucket_is_refused(folder, tmp_path):
    put(tmp_path, "secret.mp4")
    (folder / "link.mp4").symlink_to(tmp_path / "secret.mp4")
    with pytest.raises(AccessDenied, match="lead out of the bucket"):
        open_bucket(str(folder), Settings()).stat("link.mp4")


# -- an object store ----------------------------------------------------------------------------------------------------


def test_an_object_store_is_scanned_like_a_folder(memory, lake):
    memory.pipe(
        {"/archive/talks/a b ü.mp4": b"a", "/archive/b.mkv": b"b", "/archive/b.json": b"{}", "/other/c.mp4": b"c"}
    )
    found = look("memory://archive", lake)
    assert why(found) == {"talks/a b ü.mp4": "new", "b.mkv": "new"}
    assert {item.key: item.sidecar_key for item in found.work} == {"talks/a b ü.mp4": None, "b.mkv": "b.json"}
    keep(lake, "memory://archive", found)
    assert look("memory://archive", lake).work == []
    memory.pipe({"/archive/b.mkv": b"B", "/archive/b.json": b"[]"})
    memory.rm("/archive/talks/a b ü.mp4")
    found = look("memory://archive", lake)
    assert (why(found), [item.key for item in found.gone]) == ({"b.mkv": "changed"}, ["talks/a b ü.mp4"])


def test_a_prefix_is_a_bucket_of_its_own(memory):
    memory.pipe({"/archive/talks/a.mp4": b"a", "/archive/talks2/b.mp4": b"b"})
    assert keys(look("memory://archive/talks")) == {"a.mp4"}
    assert keys(look("memory://archive/talks/")) == {"a.mp4"}


def test_an_object_is_fetched_only_while_it_is_the_same(memory, tmp_path):
    memory.pipe({"/archive/a.mp4": b"first"})
    bucket = open_bucket("memory://archive", Settings())
    item: Object = next(bucket.list())
    with bucket.fetched(item.key, item.fingerprint, tmp_path, 0.0) as path:
        assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [], "nothing is left in scratch"
    memory.pipe({"/archive/a.mp4": b"second"})
    with (
        pytest.raises(ObjectChanged, match="was rewritten"),
        bucket.fetched(item.key, item.fingerprint, tmp_path, 0.0),
    ):
        raise AssertionError("the old object is no longer there to work on")
    assert list(tmp_path.iterdir()) == []


def test_etags_are_fingerprints_where_a_store_has_them():
    info = {"name": "archive/a.mp4", "size": 5, "ETag": '"0cc175b9"', "LastModified": datetime(2024, 1, 2, tzinfo=UTC)}
    made = FsspecStore(fsspec.filesystem("memory"), "archive", Settings()).object_of(info)
    assert made == Object("a.mp4", 5, "0cc175b9", datetime(2024, 1, 2, tzinfo=UTC))


# -- buckets that are none ----------------------------------------------------------------------------------------------


def test_what_is_no_bucket_is_refused_before_any_work(folder, memory):
    put(folder, "a.mp4")
    for uri, error, words in [
        (str(folder / "missing"), BucketNotFound, "does not exist"),
        (str(folder / "a.mp4"), BucketNotFound, "is not a folder"),
        ("memory://nowhere", BucketNotFound, "does not exist, or is empty"),
        ("gopher://old", BucketNotFound, "gopher"),
        ("dropbox://needs/a-driver", MissingTool, "dropbox"),
    ]:
        with pytest.raises(error, match=words):
            open_bucket(uri, Settings())


def test_a_store_that_does_not_answer_is_busy_and_no_crash(monkeypatch):
    for name, value in {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
        "AWS_MAX_ATTEMPTS": "1",
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StorageBusy, match="did not answer: Could not connect") as caught:
        open_bucket("s3://archive/talks", Settings())
    assert caught.value.next == "Run the same command again."


def test_a_file_uri_and_a_path_are_the_same_bucket(folder):
    assert open_bucket(folder.as_uri(), Settings()) == open_bucket(str(folder), Settings())
