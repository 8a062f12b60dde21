"""What a store does wrong, each against a real server behind a proxy: what passes is waited for, the rest becomes a row."""

from __future__ import annotations

import threading

import pytest
from conftest import BUCKET
from s3_server import Cut, Refuse, faulty, s3  # noqa: F401
from sessions import session_on, through

from tasks.errors import ObjectChanged, ScratchFull, StorageBusy
from tasks.machine.scratch import ByteBudget
from tasks.settings import Settings
from tasks.sources.bucket import open_bucket

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
QUICK = {"store_timeout_s": 1.0, "store_tries": 4}
TALK = BUCKET / "sport" / "cup-final.mov"
SIZE = TALK.stat().st_size


@pytest.fixture
def archive(s3):
    """Two talks, one below a prefix of its own."""
    for key in ("talk.mov", "secret/talk.mov"):
        s3.upload_file(str(TALK), "archive", key)
    return s3


def indexed(tmp_path, **more):
    """Status and reason of each video after a run."""
    with session_on("s3://archive", tmp_path, **QUICK, **more) as session:
        found = {}
        for batch in session.batches():
            for item in through(session, batch).items:
                found[item.work.key] = (item.result.status, item.result.reason, item.result.next_try_at is not None)
            session.committed(session.pipeline.commit([item.result for item in batch.items]))
        session.close("done")
    left = [path.name for path in (tmp_path / "scratch").iterdir() if not path.name.endswith(".lock")]
    assert left == [], "nothing stays in scratch"
    return found


FINE = {"talk.mov": ("indexed", None, False), "secret/talk.mov": ("indexed", None, False)}


@pytest.mark.parametrize(
    ("status", "code"), [(503, "SlowDown"), (500, "InternalError"), (503, "ServiceUnavailable"), (502, "BadGateway")]
)
def test_throttling_and_errors_of_the_server_pass(archive, faulty, tmp_path, status, code):
    faulty.rule = lambda request: Refuse(status, code) if request.number <= 2 else None
    bucket = open_bucket("s3://archive", Settings(**QUICK))
    found = {item.key: item.fingerprint for item in bucket.list()}
    assert sorted(found) == ["secret/talk.mov", "talk.mov"]
    with bucket.fetched("talk.mov", found["talk.mov"], tmp_path, 0.0) as path:
        assert path.read_bytes() == TALK.read_bytes()


def test_a_server_that_stays_busy_fails_videos_that_are_due_again(archive, faulty, tmp_path):
    faulty.rule = lambda request: Refuse(503, "SlowDown") if request.key == "secret/talk.mov" else None
    assert indexed(tmp_path) == FINE | {"secret/talk.mov": ("failed", "storage_busy", True)}


def test_a_listing_that_stays_refused_in_the_middle_is_busy(archive, faulty):
    bucket = open_bucket("s3://archive", Settings(**QUICK))
    faulty.rule = lambda request: Refuse(503, "SlowDown") if "list-type" in request.query else None
    with pytest.raises(StorageBusy, match="broke off"):
        list(bucket.list())


def test_a_connection_cut_in_the_middle_of_a_video_goes_on_where_it_broke(archive, faulty, tmp_path):
    third = SIZE // 3
    faulty.rule = lambda r: Cut(third) if r.method == "GET" and r.key == "talk.mov" and r.number <= 2 else None
    assert indexed(tmp_path) == FINE
    ranges = [request.headers.get("Range") for request in faulty.reads("talk.mov")]
    assert ranges == [None, f"bytes={third}-", f"bytes={2 * third}-"], "no byte is asked for twice"
    assert len(faulty.reads("secret/talk.mov")) == 1


def test_a_connection_that_falls_silent_goes_on_after_the_timeout(archive, faulty, tmp_path):
    half = SIZE // 2
    faulty.rule = lambda r: (
        Cut(half, pause_s=2.5) if r.method == "GET" and r.key == "talk.mov" and r.number == 1 else None
    )
    assert indexed(tmp_path) == FINE
    first, second = (request.headers.get("Range") for request in faulty.reads("talk.mov"))
    assert first is None
    assert half - (128 << 10) < int(second.removeprefix("bytes=").rstrip("-")) <= half, "little is asked for twice"


def test_an_object_that_is_changed_while_it_is_read_fails_and_is_due_again(archive, faulty, tmp_path):
    def rewrite():
        archive.put_object(Bucket="archive", Key="talk.mov", Body=b"another")

    faulty.rule = lambda r: (
        Cut(SIZE // 2, then=rewrite) if (r.method, r.key, r.number) == ("GET", "talk.mov", 1) else None
    )
    assert indexed(tmp_path) == FINE | {"talk.mov": ("failed", "object_changed", True)}


def test_a_prefix_that_may_not_be_read_costs_only_its_videos(archive, faulty, tmp_path):
    faulty.rule = lambda request: Refuse(403, "AccessDenied") if request.key.startswith("secret/") else None
    assert indexed(tmp_path) == FINE | {"secret/talk.mov": ("failed", "access_denied", False)}


def test_credentials_that_run_out_during_a_run_are_no_fault_of_the_videos(archive, faulty, tmp_path):
    # A request for the head of an object says no more than 403.
    heads = []

    def rule(request):
        heads.extend([request] if request.method == "HEAD" else [])
        return Refuse(403, "InvalidAccessKeyId") if heads else None

    faulty.rule = rule
    due = ("failed", "storage_busy", True)
    assert indexed(tmp_path) == {"talk.mov": due, "secret/talk.mov": due}


def test_an_object_is_fetched_once_though_its_decoding_is_tried_again(archive, faulty, tmp_path, monkeypatch):
    from tasks.errors import StageTimeout
    from tasks.runs.pipeline import prepare

    real, tries = prepare.__globals__["extract_audio"], []

    def slow_at_first(*arguments):
        tries.append(arguments)
        if len(tries) == 1:
            raise StageTimeout("ffmpeg took too long")
        return real(*arguments)

    monkeypatch.setitem(prepare.__globals__, "extract_audio", slow_at_first)
    assert indexed(tmp_path, attempts=2, exclude=("secret/*",)) == {"talk.mov": FINE["talk.mov"]}
    assert len(tries) == 2
    assert len(faulty.reads("talk.mov")) == 1


def test_without_room_for_a_whole_object_none_of_it_is_fetched(archive, faulty, tmp_path):
    bucket = open_bucket("s3://archive", Settings(**QUICK))
    fingerprint = bucket.stat("talk.mov").fingerprint
    with (
        pytest.raises(ScratchFull, match="less than 1e\\+09 GB is free"),
        bucket.fetched("talk.mov", fingerprint, tmp_path, 1e9),
    ):
        raise AssertionError("there is no such disk")
    assert faulty.reads("talk.mov") == []


def test_copies_never_take_more_than_their_room():
    room, held, most = ByteBudget(10), [0], [0]
    lock = threading.Lock()

    def hold(size: int) -> None:
        with room.of(size):
            with lock:
                held[0] += size
                most[0] = max(most[0], held[0])
            threading.Event().wait(0.02)
            with lock:
                held[0] -= size

    threads = [threading.Thread(target=hold, args=(size,)) for size in [4, 4, 4, 9, 1, 10, 3, 3]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=10)
    assert most[0] <= 10
    with room.of(50):  # larger than all the room: alone
        pass


def test_an_object_that_is_removed_between_listing_and_reading_is_changed(archive, faulty, tmp_path):
    bucket = open_bucket("s3://archive", Settings(**QUICK))
    item = bucket.stat("talk.mov")
    archive.delete_object(Bucket="archive", Key="talk.mov")
    with pytest.raises(ObjectChanged, match="removed"), bucket.fetched("talk.mov", item.fingerprint, tmp_path, 0.0):
        raise AssertionError("it is not there")
