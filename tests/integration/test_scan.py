"""What a scan finds in a bucket, beside what the lake knows: on real folders and on an object store in memory."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from tasks.bucket import Bucket, open_bucket
from tasks.errors import AccessDenied, BucketNotFound, MissingTool, ObjectChanged, StorageBusy
from tasks.lake.commit import commit
from tasks.lake.store import Lake
from tasks.lake.views import connect
from tasks.records import Metadata, Object, Recipes, Result
from tasks.scan import Scan, scan
from tasks.settings import Settings
from tasks.stores import FsspecStore

NOW = datetime(2024, 5, 1, 2, 0, tzinfo=UTC)
RECIPES = Recipes("a", "d", "c", "t", {})
posix_names = pytest.mark.skipif(sys.platform != "linux", reason="these file names need a Linux file system")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty bucket whose own name is no easy one."""
    made = tmp_path / "my videos ü #1"
    made.mkdir()
    return made


@pytest.fixture
def memory() -> Iterator[MemoryFileSystem]:
    """An empty object store."""
    store = MemoryFileSystem()
    store.store.clear()
    store.pseudo_dirs[:] = [""]
    yield store
    store.store.clear()


def put(folder: Path, *names: str, data: bytes = b"x") -> None:
    """Files one second apart, the first the oldest."""
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        os.utime(path, (1_700_000_000 + number, 1_700_000_000 + number))


def look(
    where: Path | str | Bucket,
    lake: Lake | None = None,
    *,
    recipes: Recipes = RECIPES,
    now: datetime = NOW,
    refresh: bool = False,
    retry_failed: bool = False,
    **settings: object,
) -> Scan:
    used = Settings(**settings)
    bucket = where if isinstance(where, Bucket) else open_bucket(str(where), used)
    connection = connect(lake) if lake is not None else None
    return scan(bucket, connection, recipes, used, now=now, refresh=refresh, retry_failed=retry_failed)


def keep(
    lake: Lake,
    where: Path | str,
    found: Scan,
    *,
    status: str = "indexed",
    recipes: Recipes = RECIPES,
    next_try_at: datetime | None = None,
    attempts: int = 0,
    bucket_id: str | None = None,
) -> None:
    """Rows for all the work that was found, as an index run leaves them."""
    bucket = open_bucket(str(where), Settings(bucket_id=bucket_id))
    results = [
        Result(
            work=item,
            bucket=bucket.bucket_id,
            bucket_uri=bucket.uri,
            status=status,  # type: ignore[arg-type]
            metadata=Metadata("A talk"),
            recipes=recipes,
            next_try_at=next_try_at,
            attempts=attempts,
        )
        for item in [*found.work, *found.gone]
    ]
    commit(lake, results, run_id="r", device="cpu")


def why(found: Scan) -> dict[str, str]:
    return {item.key: item.why for item in found.work}


def keys(found: Scan) -> set[str]:
    return {item.key for item in found.work}


# -- what is new, changed, gone -----------------------------------------------------------------------------------------


def test_without_a_lake_every_candidate_is_new_and_the_oldest_comes_first(folder):
    put(folder, "2023/b.mp4", "a.mkv")
    found = look(folder)
    assert [(item.key, item.why, item.from_stage) for item in found.work] == [
        ("2023/b.mp4", "new", "audio"),
        ("a.mkv", "new", "audio"),
    ]
    assert (found.scanned, found.unchanged, found.stale, found.gone, found.warnings) == (2, 0, 0, [], [])
    assert found.work[0].size_bytes == 1
    assert found.work[0].fingerprint == "1-1700000000000000000"
    assert found.work[0].modified_at == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


def test_the_video_id_is_the_hash_of_bucket_and_key(folder):
    put(folder, "a ü.mp4")
    named = hashlib.sha256("archive\0a ü.mp4".encode()).hexdigest()[:20]
    assert look(folder, bucket_id="archive").work[0].video_id == named
    assert look(folder).work[0].video_id == hashlib.sha256(f"{folder.as_uri()}\0a ü.mp4".encode()).hexdigest()[:20]


def test_what_is_indexed_is_left_alone(folder, lake):
    put(folder, "a.mp4", "b.mp4")
    keep(lake, folder, look(folder, lake))
    found = look(folder, lake)
    assert (found.work, found.gone, found.scanned, found.unchanged) == ([], [], 2, 2)


def test_a_rewritten_file_is_changed_and_follows_its_last_generation(folder, lake):
    put(folder, "a.mp4", "b.mp4")
    keep(lake, folder, look(folder, lake))
    put(folder, "a.mp4", data=b"other")
    found = look(folder, lake)
    assert why(found) == {"a.mp4": "changed"}
    assert (found.work[0].from_stage, found.work[0].size_bytes, found.unchanged) == ("audio", 5, 1)
    generation = connect(lake).execute("SELECT generation FROM videos WHERE key = 'a.mp4'").fetchone()[0]
    assert found.work[0].last_generation == generation


def test_a_touched_file_is_changed_by_time_but_not_by_checksum(folder, lake):
    put(folder, "a.mp4")
    keep(lake, folder, look(folder, lake, checksum=True))
    os.utime(folder / "a.mp4", (1, 1))
    assert look(folder, lake, checksum=True).work == []
    digest = hashlib.sha256(b"x").hexdigest()
    assert look(folder, checksum=True).work[0].fingerprint == f"sha256-{digest}"
    assert why(look(folder, lake)) == {"a.mp4": "changed"}


def test_a_removed_file_is_gone_once_and_new_when_it_comes_back(folder, lake):
    put(folder, "a.mp4", "b.mp4")
    keep(lake, folder, look(folder, lake))
    (folder / "a.mp4").unlink()
    found = look(folder, lake)
    assert ([item.key for item in found.gone], found.work, found.scanned) == (["a.mp4"], [], 1)
    keep(lake, folder, found, status="gone")
    assert look(folder, lake).gone == []
    put(folder, "a.mp4")
    assert why(look(folder, lake)) == {"a.mp4": "new"}


def test_videos_of_another_bucket_are_neither_gone_nor_known(folder, lake, tmp_path):
    put(folder, "a.mp4")
    keep(lake, folder, look(folder, lake))
    put(tmp_path / "other", "a.mp4", "b.mp4")
    found = look(tmp_path / "other", lake)
    assert why(found) == {"a.mp4": "new", "b.mp4": "new"}
    assert found.gone == []


def test_an_archive_that_moved_is_known_by_its_name(folder, lake, tmp_path):
    put(folder, "a.mp4")
    keep(lake, folder, look(folder, lake, bucket_id="talks"), bucket_id="talks")
    folder.rename(tmp_path / "elsewhere")
    found = look(tmp_path / "elsewhere", lake, bucket_id="talks")
    assert (found.work, found.gone) == ([], [])


# -- what is due again --------------------------------------------------------------------------------------------------


def test_a_transient_failure_is_due_again_when_its_time_has_come(folder, lake):
    put(folder, "a.mp4")
    keep(lake, folder, look(folder, lake), status="failed", next_try_at=NOW, attempts=3)
    assert look(folder, lake, now=NOW - timedelta(seconds=1)).work == []
    found = look(folder, lake, now=NOW)
    assert [(item.why, item.from_stage, item.attempts) for item in found.work] == [("retried", "audio", 3)]


def test_a_permanent_failure_waits_until_it_is_asked_for(folder, lake):
    put(folder, "a.mp4")
    keep(lake, folder, look(folder, lake), status="failed")
    assert look(folder, lake, now=NOW + timedelta(days=365)).work == []
    assert look(folder, lake, refresh=True).work == []
    assert why(look(folder, lake, retry_failed=True)) == {"a.mp4": "retried"}


def test_a_permanent_failure_is_tried_again_with_a_new_object_or_recipe(folder, lake):
    put(folder, "a.mp4")
    keep(lake, folder, look(folder, lake), status="failed")
    assert why(look(folder, lake, recipes=Recipes("A2", "d", "c", "t", {}))) == {"a.mp4": "retried"}
    put(folder, "a.mp4", data=b"mended")
    assert why(look(folder, lake)) == {"a.mp4": "changed"}


def test_retry_failed_leaves_what_is_indexed_alone(folder, lake):
    put(folder, "a.mp4")
    keep(lake, folder, look(folder, lake))
    assert look(folder, lake, retry_failed=True).work == []


# -- older recipes ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("recipes", "stage"),
    [
        (Recipes("A2", "D2", "C2", "T2", {}), "audio"),
        (Recipes("a", "D2", "C2", "T2", {}), "decode"),
        (Recipes("a", "d", "C2", "T2", {}), "cues"),
        (Recipes("a", "d", "C2", "t", {}), "cues"),
        (Recipes("a", "d", "c", "T2", {}), "topics"),
    ],
)
def test_a_stale_video_is_counted_and_redone_from_the_first_stage_that_differs(folder, lake, recipes, stage):
    put(folder, "a.mp4")
    keep(lake, folder, look(folder, lake))
    left = look(folder, lake, recipes=recipes)
    assert (left.stale, left.work, left.unchanged) == (1, [], 1)
    asked = look(folder, lake, recipes=recipes, refresh=True)
    assert [(item.why, item.from_stage) for item in asked.work] == [("stale", stage)]


def test_a_video_without_audio_is_not_stale_by_decoder_or_cues(folder, lake):
    put(folder, "a.mp4")
    keep(lake, folder, look(folder, lake), status="no_audio")
    assert look(folder, lake, recipes=Recipes("a", "D2", "C2", "t", {}), refresh=True).work == []
    assert look(folder, lake, recipes=Recipes("A2", "d", "c", "t", {}), refresh=True).work[0].from_stage == "audio"


def test_a_refresh_with_the_same_recipe_finds_nothing(folder, lake):
    put(folder, "a.mp4")
    keep(lake, folder, look(folder, lake))
    assert look(folder, lake, refresh=True).work == []


# -- sidecars -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sidecar", ["a.json", "a.info.json", "a.mp4.json", "a.mp4.info.json"])
def test_an_edited_sidecar_is_new_metadata_and_no_new_transcription(folder, lake, sidecar):
    put(folder, "a.mp4", "b.mp4", sidecar)
    found = look(folder, lake)
    assert {item.key: item.sidecar_key for item in found.work} == {"a.mp4": sidecar, "b.mp4": None}
    keep(lake, folder, found)
    assert look(folder, lake).work == []
    put(folder, sidecar, data=b'{"title": "Edited"}')
    edited = look(folder, lake).work
    assert [(i.key, i.why, i.from_stage, i.sidecar_key) for i in edited] == [("a.mp4", "metadata", "topics", sidecar)]


def test_a_sidecar_that_comes_or_goes_is_new_metadata(folder, lake):
    put(folder, "a.mp4")
    keep(lake, folder, look(folder, lake))
    put(folder, "a.json")
    came = look(folder, lake)
    assert why(came) == {"a.mp4": "metadata"}
    keep(lake, folder, came)
    (folder / "a.json").unlink()
    went = look(folder, lake)
    assert [(i.why, i.sidecar_key, i.sidecar_fingerprint) for i in went.work] == [("metadata", None, None)]


def test_the_sidecar_that_names_the_file_wins_over_the_one_that_names_its_stem(folder):
    put(folder, "a.mp4", "a.mkv", "a.json", "a.info.json", "a.mp4.json")
    found = {item.key: item.sidecar_key for item in look(folder).work}
    assert found == {"a.mp4": "a.mp4.json", "a.mkv": "a.info.json"}


def test_a_sidecar_in_another_folder_is_not_taken(folder):
    put(folder, "x/a.mp4", "y/a.json", "a.json")
    assert [item.sidecar_key for item in look(folder).work] == [None]


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
    assert [bucket.read_small(name) for name in names] == [b"x"] * 6


@posix_names
def test_a_name_that_is_no_utf8_becomes_a_key_that_leads_back_to_the_file(folder, lake):
    with open(os.fsencode(folder) + b"/caf\xe9.mp4", "wb") as handle:
        handle.write(b"latin-1")
    found = look(folder, lake)
    assert keys(found) == {"caf\\xe9.mp4"}
    keep(lake, folder, found)
    assert look(folder, lake).work == []
    assert open_bucket(str(folder), Settings()).read_small("caf\\xe9.mp4") == b"latin-1"


@posix_names
def test_a_name_that_looks_like_an_escape_is_another_file_than_the_one_it_spells(folder):
    with open(os.fsencode(folder) + b"/caf\xe9.mp4", "wb") as handle:
        handle.write(b"a byte")
    put(folder, "caf\\xe9.mp4", "back\\slash.mp4", data=b"an escape")
    bucket = open_bucket(str(folder), Settings())
    contents = sorted(bucket.read_small(item.key) for item in bucket.list())
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
        open_bucket(str(folder), Settings()).read_small(key)


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
