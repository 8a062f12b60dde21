"""Listings of S3 with entries that say too little or what cannot be: a real server, its answers rewritten on the way."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
from s3_server import Refuse, Rewrite, faulty, s3  # noqa: F401
from scanning import keep, keys, look, why

from tasks.errors import StorageBusy
from tasks.settings import Settings
from tasks.sources.bucket import open_bucket

pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
KEYS = ("talks/a.mp4", "talks/odd.mp4", "talks/z.mp4")
BODY = b"the content of the odd one"
NO_LISTINGS = (
    b"",
    b"<html>maintenance</html>",
    b"<ListBucketResult><Contents>",
    b"\xff\xfe",
    b"<Error><Code>Busy</Code></Error>",
)
QUICK = {"store_timeout_s": 1.0, "store_tries": 2}


@pytest.fixture
def archive(s3):
    for key in KEYS:
        s3.put_object(Bucket="archive", Key=key, Body=BODY if "odd" in key else key.encode())
    return s3


def entry(change):
    """A rule that changes the entry of the odd object in listings, as text."""

    def body(said: bytes) -> bytes:
        text = said.decode()
        entries = re.findall(r"<Contents>.*?</Contents>", text, re.S)
        (odd,) = [found for found in entries if "odd.mp4</Key>" in found]
        return text.replace(odd, change(odd)).encode()

    return lambda request: Rewrite(body) if "list-type" in request.query and "max-keys=1" not in request.query else None


def of(name: str, value: str | None):
    """The same entry with another value, or without it."""
    other = "" if value is None else f"<{name}>{value}</{name}>"
    return lambda text: re.sub(rf"<{name}>.*?</{name}>", other, text, flags=re.S)


def heads(faulty) -> int:
    return sum(request.method == "HEAD" for request in faulty.seen)


ODD = [
    *[("LastModified", value) for value in
      ("30828-01-01T00:00:00.000Z", "-1199-01-01T00:00:00Z", "9999-12-31T23:59:59-05:00", "0001-01-01T00:00:00Z", "", None, "yesterday")],
    *[("Size", value) for value in ("-5", "", None, "many", str(2**70), "1e3")],
    *[("ETag", value) for value in ("", None, "&quot;&quot;")],
]  # fmt: skip


@pytest.mark.parametrize(("name", "value"), ODD)
def test_an_odd_entry_of_a_listing_is_as_good_as_its_object(archive, faulty, lake, tmp_path, name, value):
    kept = look("s3://archive/talks", lake)
    keep(lake, "s3://archive/talks", kept)
    bucket = open_bucket("s3://archive/talks", Settings())
    whole = {item.key: item for item in bucket.list()}
    faulty.rule = entry(of(name, value))
    listed = {item.key: item for item in bucket.list()}
    assert listed.keys() == whole.keys()
    odd, known = listed["odd.mp4"], whole["odd.mp4"]
    assert (odd.size_bytes, odd.fingerprint) == (len(BODY), known.fingerprint)
    assert heads(faulty) == (name != "LastModified"), "one request for it, and none for the others"
    assert (odd.modified_at is None) == (name == "LastModified")
    found = look("s3://archive/talks", lake)
    assert (found.work, found.gone, found.warnings) == ([], [], []), "an archive is not heard again over that"
    with bucket.fetched("odd.mp4", odd.fingerprint, tmp_path, 0.0) as path:
        assert path.read_bytes() == BODY


@pytest.mark.parametrize(
    ("said", "when"),
    [
        ("2024-01-02T03:04:05", datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2024-01-02T03:04:05+02:00", datetime(2024, 1, 2, 1, 4, 5, tzinfo=UTC)),
        ("Tue, 02 Jan 2024 03:04:05 GMT", datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)),
    ],
)
def test_a_time_in_another_form_is_a_time(archive, faulty, said, when):
    faulty.rule = entry(of("LastModified", said))
    listed = {item.key: item.modified_at for item in open_bucket("s3://archive/talks", Settings()).list()}
    assert listed["odd.mp4"] == when


def test_an_entry_without_a_key_is_counted_and_nothing_is_gone(archive, faulty, lake):
    keep(lake, "s3://archive/talks", look("s3://archive/talks", lake))
    archive.delete_object(Bucket="archive", Key="talks/z.mp4")
    assert [item.key for item in look("s3://archive/talks", lake).gone] == ["z.mp4"]
    faulty.rule = entry(of("Key", None))
    found = look("s3://archive/talks", lake)
    assert (found.scanned, found.gone) == (1, []), "it may be any of them"
    assert "without a name (an entry without a key)" in found.warnings[0]


@pytest.mark.parametrize("refused", [Refuse(403, "AccessDenied"), Refuse(500, "InternalError"), Refuse(400, "Bad")])
def test_an_entry_that_cannot_be_asked_for_is_named_and_not_gone(archive, faulty, lake, refused):
    keep(lake, "s3://archive/talks", look("s3://archive/talks", lake))
    odd = entry(of("ETag", None))
    faulty.rule = lambda request: refused if request.method == "HEAD" else odd(request)
    archive.put_object(Bucket="archive", Key="talks/zz.mp4", Body=b"new")
    found = look("s3://archive/talks", lake, **QUICK)
    assert (why(found), found.gone) == ({"zz.mp4": "new"}, [])
    assert "1 object was left out" in found.warnings[0]
    assert "odd.mp4 (" in found.warnings[0]


def test_an_odd_entry_whose_object_has_gone_meanwhile_is_passed_over(archive, faulty):
    odd = entry(of("Size", None))
    faulty.rule = lambda request: Refuse(404, "NoSuchKey") if request.method == "HEAD" else odd(request)
    found = look("s3://archive/talks")
    assert (keys(found), found.warnings) == ({"a.mp4", "z.mp4"}, [])


def test_a_store_without_tags_is_indexed_by_sizes_and_times(archive, faulty, lake, tmp_path):
    without = {"ETag": None}

    def rule(request):
        if "list-type" in request.query:
            return Rewrite(lambda said: re.sub(rb"<ETag>.*?</ETag>", b"", said))
        return Rewrite(headers=without)

    faulty.rule = rule
    found = look("s3://archive/talks", lake)
    assert keys(found) == {"a.mp4", "odd.mp4", "z.mp4"}
    odd = {item.key: item for item in found.work}["odd.mp4"]
    assert re.fullmatch(rf"no-etag-{len(BODY)}-\d{{10}}", odd.fingerprint)
    bucket = open_bucket("s3://archive/talks", Settings())
    with bucket.fetched("odd.mp4", odd.fingerprint, tmp_path, 0.0) as path:
        assert path.read_bytes() == BODY
    keep(lake, "s3://archive/talks", found)
    assert look("s3://archive/talks", lake).work == []
    archive.put_object(Bucket="archive", Key="talks/odd.mp4", Body=b"another length")
    assert why(look("s3://archive/talks", lake)) == {"odd.mp4": "changed"}


@pytest.mark.parametrize("said", ["Mon, 01 Jan 30828 00:00:00 GMT", "yesterday", "", "0"])
def test_an_object_whose_own_time_cannot_be_is_read(archive, faulty, tmp_path, said):
    bucket = open_bucket("s3://archive/talks", Settings(**QUICK))
    known = {item.key: item for item in bucket.list()}["odd.mp4"]
    faulty.rule = lambda request: Rewrite(headers={"Last-Modified": said}) if request.key == "talks/odd.mp4" else None
    assert bucket.stat("odd.mp4").fingerprint == known.fingerprint
    with bucket.fetched("odd.mp4", known.fingerprint, tmp_path, 0.0) as path:
        assert path.read_bytes() == BODY
    assert bucket.part("odd.mp4", 4, 7) == b"content"


@pytest.mark.parametrize("token", [None, "the same"])
def test_a_listing_that_never_ends_breaks_off(archive, faulty, lake, token):
    more = "<IsTruncated>true</IsTruncated>" + (
        f"<NextContinuationToken>{token}</NextContinuationToken>" if token else ""
    )
    whole = re.compile(rb"<IsTruncated>\w+</IsTruncated>(<NextContinuationToken>.*?</NextContinuationToken>)?", re.S)

    def rule(request):
        if "list-type" not in request.query:
            return None
        return Rewrite(lambda said: whole.sub(more.encode(), said))

    keep(lake, "s3://archive/talks", look("s3://archive/talks", lake))
    archive.delete_object(Bucket="archive", Key="talks/z.mp4")
    if token:  # the server knows no such token, and would refuse it
        real = rule

        def rule(request):
            request.headers.pop("continuation-token", None)
            return real(request)

    faulty.rule = rule
    found = look("s3://archive/talks", lake, **QUICK)
    assert found.gone == []
    assert "broke off" in found.warnings[0]


@pytest.mark.long
def test_a_page_that_is_no_listing_makes_nothing_gone(archive, faulty, lake):
    """The second page is another's, with status 200: what was on it is not gone."""
    for n in range(1000):
        archive.put_object(Bucket="archive", Key=f"talks/first/{n:04d}.mp4", Body=b"")
    keep(lake, "s3://archive/talks", look("s3://archive/talks", lake))
    for page in NO_LISTINGS:
        faulty.rule = lambda request, page=page: (
            Rewrite(lambda said: page) if "continuation-token" in request.query else None
        )
        found = look("s3://archive/talks", lake, store_tries=2)
        assert (found.gone, found.work) == ([], []), page
        assert 1000 <= found.scanned < 1003
        assert "The listing of s3://archive/talks broke off" in found.warnings[0]


@pytest.mark.parametrize("page", NO_LISTINGS)
def test_a_first_page_that_is_no_listing_is_a_store_that_is_busy(archive, faulty, page):
    bucket = open_bucket("s3://archive/talks", Settings(**QUICK))
    faulty.rule = lambda request: Rewrite(lambda said: page) if "list-type" in request.query else None
    with pytest.raises(StorageBusy, match="broke off"):
        list(bucket.list())


def test_a_key_of_another_prefix_is_left_out(archive, faulty):
    faulty.rule = entry(of("Key", "elsewhere/odd.mp4"))
    # The rule finds its entry by the key that it had.
    found = look("s3://archive/talks")
    assert keys(found) == {"a.mp4", "z.mp4"}
    assert "elsewhere/odd.mp4 (it is not of this prefix)" in found.warnings[0]
