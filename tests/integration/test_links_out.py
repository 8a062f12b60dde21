"""Links that lead out of a folder: left out, counted and never looked behind, or followed, as the setting says."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import REPO
from scanning import empty_bucket, keep, keys, look, put

from tasks.errors import AccessDenied
from tasks.settings import Settings
from tasks.sources.bucket import Bucket, open_bucket
from tasks.web.media import Originals


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return empty_bucket(tmp_path)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    made = tmp_path / "another disk"
    put(made, "secret.mp4", "deep/more.mp4")
    return made


def refused(bucket: Bucket, key: str) -> None:
    for read in (bucket.stat, lambda k: b"".join(bucket.sidecar(k)), bucket.local_path, lambda k: bucket.part(k, 0, 1)):
        with pytest.raises(AccessDenied, match="lead out of the bucket"):
            read(key)


def counts(found) -> dict[str, int]:
    """What was left out by a scan, without what there is none of."""
    said = found.left_out.as_json()
    return {name: n for name, n in {**said["links"], "special": said["special"], "odd": said["odd"]}.items() if n}


# -- links that lead out of the bucket ----------------------------------------------------------------------------------


def test_links_that_lead_out_are_left_out_counted_and_said(folder, outside):
    put(folder, "a.mp4")
    (folder / "disk").symlink_to(outside)
    (folder / "one.mp4").symlink_to(outside / "secret.mp4")
    (folder / "none.mp4").symlink_to(outside / "nothing.mp4")
    found = look(folder)
    assert (keys(found), counts(found)) == ({"a.mp4"}, {"outside": 3})
    (note,) = found.left_out.notes()
    assert note.startswith("3 links lead out of the bucket and were left out: ")
    assert note.endswith(". The setting follow_links takes them in.")


def test_with_the_setting_they_are_followed_and_read(folder, outside, lake):
    put(folder, "a.mp4")
    (folder / "disk").symlink_to(outside)
    (folder / "one.mp4").symlink_to(outside / "secret.mp4")
    (folder / "none.mp4").symlink_to(outside / "nothing.mp4")
    found = look(folder, lake, follow_links=True)
    assert keys(found) == {"a.mp4", "one.mp4", "disk/secret.mp4", "disk/deep/more.mp4"}
    assert counts(found) == {"broken": 1}
    keep(lake, folder, found)
    assert look(folder, lake, follow_links=True).work == []
    bucket = open_bucket(str(folder), Settings(follow_links=True))
    for item in found.work:
        with bucket.fetched(item.key, item.fingerprint, folder, 0.0) as path:
            assert path.read_bytes() == b"x"


@pytest.mark.parametrize(
    "key",
    [
        "../another disk/secret.mp4",
        "a/../../another disk/secret.mp4",
        "disk/../../another disk/secret.mp4",
        "/etc/passwd",
        "\\x2e\\x2e/another disk/secret.mp4",
        "disk\\x2f..\\x2f..\\x2fanother disk/secret.mp4",
        "\\x2fetc\\x2fpasswd",
        "a.mp4\0.txt",
        "\\x00",
    ],
)
@pytest.mark.parametrize("follow", [False, True])
def test_no_key_leads_out_but_by_a_link(folder, outside, key, follow):
    put(folder, "a.mp4", "a/x.mp4")
    (folder / "disk").symlink_to(outside)
    bucket = open_bucket(str(folder), Settings(follow_links=follow))
    refused(bucket, key)


@pytest.mark.parametrize("key", ["one.mp4", "disk/secret.mp4", "disk/deep/more.mp4"])
def test_without_the_setting_what_is_behind_a_link_is_refused(folder, outside, key):
    (folder / "disk").symlink_to(outside)
    (folder / "one.mp4").symlink_to(outside / "secret.mp4")
    refused(open_bucket(str(folder), Settings()), key)
    row = {"bucket_uri": folder.as_uri(), "key": key, "video_id": "a" * 20}
    with pytest.raises(AccessDenied, match="lead out of the bucket"):
        Originals(Settings()).find(row)
    assert b"".join(Originals(Settings(follow_links=True)).find(row).parts(0, 1)) == b"x"


def test_a_file_that_becomes_a_link_out_of_the_bucket_is_refused(folder, outside):
    put(folder, "a.mp4")
    bucket = open_bucket(str(folder), Settings())
    (item,) = bucket.list()
    (folder / "a.mp4").unlink()
    (folder / "a.mp4").symlink_to(outside / "secret.mp4")
    with pytest.raises(AccessDenied), bucket.fetched(item.key, item.fingerprint, folder, 0.0):
        raise AssertionError("it is not to be read")


def test_without_the_setting_nothing_outside_is_looked_at(folder, outside, tmp_path):
    """Seen by strace: no open, stat or listing of a name outside succeeds but that of the links' way (readlink, lstat)."""
    put(folder, "a.mp4")
    (folder / "disk").symlink_to(outside)
    (folder / "one.mp4").symlink_to(outside / "secret.mp4")
    code = (
        "import sys; from tasks.sources.bucket import Bucket, open_bucket; from tasks.settings import Settings; "
        f"print(len(list(open_bucket({str(folder)!r}, Settings()).list())))"
    )
    log = tmp_path / "calls"
    command = ["strace", "-f", "-qq", "-o", log, "-e", "trace=file", sys.executable, "-c", code]
    try:
        done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, timeout=120)
    except FileNotFoundError:
        pytest.skip("strace is not installed")
    if done.returncode:
        pytest.skip(f"strace does not work here: {done.stderr}")
    assert done.stdout == "1\n"
    lines = log.read_text(errors="replace").splitlines()
    behind = [line for line in lines if re.search(r'another disk|/disk"|/disk/|/one\.mp4"', line)]
    assert any("readlink" in line for line in behind), "the links are seen"
    only_links = ("AT_SYMLINK_NOFOLLOW", "lstat(", "readlink(", "readlinkat(")
    assert [line for line in behind if not any(call in line for call in only_links)] == []
