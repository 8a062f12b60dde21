"""Links in a folder: what is listed by which key, what is left out and counted, and that nothing outside is looked at."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

import pytest
from scanning import empty_bucket, keep, keys, look, put, why

from tasks.errors import ObjectChanged
from tasks.settings import Settings
from tasks.sources.bucket import open_bucket


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return empty_bucket(tmp_path)


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    made = tmp_path / "another disk"
    put(made, "secret.mp4", "deep/more.mp4")
    return made


def counts(found) -> dict[str, int]:
    """What was left out by a scan, without what there is none of."""
    said = found.left_out.as_json()
    return {name: n for name, n in {**said["links"], "special": said["special"], "odd": said["odd"]}.items() if n}


# -- links within the bucket --------------------------------------------------------------------------------------------


def test_a_linked_folder_is_listed_below_the_link_too(folder):
    put(folder, "real/a.mp4", "real/sub/b.mp4", "real/sub/b.json")
    (folder / "link").symlink_to("real")
    (folder / "views").mkdir()
    (folder / "views" / "best").symlink_to("../real/sub")
    found = look(folder)
    assert {item.key: item.sidecar_key for item in found.work} == {
        "real/a.mp4": None,
        "real/sub/b.mp4": "real/sub/b.json",
        "link/a.mp4": None,
        "link/sub/b.mp4": "link/sub/b.json",
        "views/best/b.mp4": "views/best/b.json",
    }
    assert (counts(found), found.left_out.notes(all_of_it=True)) == (
        {},
        ["3 objects are metadata (.json) or subtitles."],
    )
    bucket = open_bucket(str(folder), Settings())
    for item in found.work:
        assert bucket.stat(item.key).fingerprint == item.fingerprint
        assert bucket.part(item.key, 0, 10) == b"x"


def test_absolute_links_and_links_by_way_of_the_outside_count_by_where_they_end(folder, outside):
    put(folder, "real/a.mp4")
    (outside / "back").symlink_to(folder / "real")
    (folder / "absolute").symlink_to(folder / "real")
    (folder / "file.mp4").symlink_to(folder / "real" / "a.mp4")
    (folder / "around").symlink_to(outside / "back")
    found = look(folder)
    assert keys(found) == {"real/a.mp4", "absolute/a.mp4", "file.mp4", "around/a.mp4"}
    assert counts(found) == {}


def test_a_bucket_that_is_itself_a_link_is_its_target(folder, tmp_path):
    put(folder, "real/a.mp4")
    (folder / "link").symlink_to(folder / "real")
    (tmp_path / "name").symlink_to(folder)
    assert keys(look(tmp_path / "name")) == {"real/a.mp4", "link/a.mp4"}
    assert open_bucket(str(tmp_path / "name"), Settings()) == open_bucket(str(folder), Settings())


def test_removing_a_link_makes_only_its_keys_gone(folder, lake):
    put(folder, "real/a.mp4")
    (folder / "link").symlink_to("real")
    keep(lake, folder, look(folder, lake))
    assert look(folder, lake).work == []
    (folder / "link").unlink()
    assert [item.key for item in look(folder, lake).gone] == ["link/a.mp4"]


@pytest.mark.parametrize("name", ["ü", "new\nline", "100%25", "\x1b[2J"])
def test_a_link_may_have_any_name(folder, name):
    put(folder, "real/a.mp4")
    (folder / name).symlink_to("real")
    (folder / f"{name}.mp4").symlink_to("nowhere")
    found = look(folder)
    assert keys(found) == {"real/a.mp4", f"{name}/a.mp4"}
    (note,) = found.left_out.notes()
    assert note.isprintable(), "a terminal does nothing but show it"


def test_a_link_with_a_name_that_is_no_utf8_leads_back(folder):
    put(folder, "real/a.mp4")
    os.symlink(b"real", os.fsencode(folder) + b"/caf\xe9")
    assert keys(look(folder)) == {"real/a.mp4", "caf\\xe9/a.mp4"}
    assert open_bucket(str(folder), Settings()).part("caf\\xe9/a.mp4", 0, 1) == b"x"


# -- circles and knots --------------------------------------------------------------------------------------------------


def test_circles_are_not_followed_and_counted(folder):
    put(folder, "a/b/c.mp4")
    (folder / "a" / "b" / "up").symlink_to("..")
    (folder / "a" / "here").symlink_to(".")
    (folder / "a" / "top").symlink_to(folder)
    (folder / "self").symlink_to("self")
    (folder / "one").symlink_to("two")
    (folder / "two").symlink_to("one")
    found = look(folder)
    assert (keys(found), counts(found), found.warnings) == ({"a/b/c.mp4"}, {"circle": 6}, [])
    (note,) = found.left_out.notes()
    assert note.startswith("6 links lead in circles and were not followed: ")
    assert note.endswith(" and 3 more.")


def test_folders_that_link_to_each_other_list_each_file_once_more(folder):
    put(folder, "a/1.mp4", "b/2.mp4")
    (folder / "a" / "to b").symlink_to("../b")
    (folder / "b" / "to a").symlink_to("../a")
    assert keys(look(folder)) == {"a/1.mp4", "b/2.mp4", "a/to b/2.mp4", "b/to a/1.mp4"}


def test_knots_of_links_take_no_longer_than_their_links(folder):
    """Twelve folders that all link to each other have 12! ways through them; a chain of thirty pairs has 2 ** 30."""
    for n in range(12):
        put(folder, f"knot/{n}/v.mp4")
        for m in range(12):
            if m != n:
                (folder / f"knot/{n}/to {m}").symlink_to(f"../{m}")
    for n in range(30):
        put(folder, f"chain/{n}/v.mp4")
        for name in ("left", "right"):
            (folder / f"chain/{n}/{name}").symlink_to(f"../{n + 1}" if n < 29 else "../0")
    started = time.monotonic()
    found = keys(look(folder))
    assert time.monotonic() - started < 20
    assert len(found) == 12 * 12 + 3 * 30
    assert {"knot/3/v.mp4", "knot/3/to 5/v.mp4", "chain/7/left/v.mp4"} <= found


def test_links_of_a_folder_outside_are_followed_once_and_by_the_same_way_in_every_run(folder, outside, tmp_path):
    put(tmp_path / "third", "t.mp4")
    (outside / "on").symlink_to(tmp_path / "third")
    for name in ("z", "m", "b"):
        (folder / name).symlink_to(outside)
    found = keys(look(folder, follow_links=True))
    assert found == {f"{name}/{key}" for name in "zmb" for key in ("secret.mp4", "deep/more.mp4")} | {"b/on/t.mp4"}
    (folder / "b").unlink()
    (folder / "b").symlink_to(outside)  # the last in its folder now
    assert keys(look(folder, follow_links=True)) == found


def test_a_link_to_a_folder_above_the_bucket_lists_it_without_the_bucket(folder, outside, tmp_path):
    put(folder, "a.mp4")
    (folder / "all").symlink_to(tmp_path)
    found = look(folder, follow_links=True)
    assert keys(found) == {"a.mp4", "all/another disk/secret.mp4", "all/another disk/deep/more.mp4"}
    assert counts(found) == {"circle": 1}


# -- links to nothing and to no file ------------------------------------------------------------------------------------


def test_links_to_nothing_and_to_no_file_are_counted(folder):
    put(folder, "a.mp4")
    os.mkfifo(folder / "pipe.mp4")
    (folder / "to pipe.mp4").symlink_to("pipe.mp4")
    with socket.socket(socket.AF_UNIX) as server:
        at = os.open(folder, os.O_RDONLY)  # the path of a socket is short
        server.bind(f"/proc/self/fd/{at}/s.mp4")
        os.close(at)
    (folder / "to socket.mp4").symlink_to("s.mp4")
    (folder / "gone.mp4").symlink_to("nowhere.mp4")
    (folder / "under a file.mp4").symlink_to("a.mp4/x.mp4")
    started = time.monotonic()
    found = look(folder)
    assert (keys(found), counts(found)) == ({"a.mp4"}, {"special": 4, "broken": 2})
    (folder / "zero.mp4").symlink_to("/dev/zero")
    assert counts(look(folder))["outside"] == 1
    assert counts(look(folder, follow_links=True))["special"] == 5
    assert keys(look(folder, checksum=True, follow_links=True)) == {"a.mp4"}
    assert time.monotonic() - started < 30, "nobody waits for a pipe"


def test_a_file_that_becomes_a_pipe_is_not_waited_for(folder):
    put(folder, "a.mp4", "a.json")
    bucket = open_bucket(str(folder), Settings())
    known = {item.key: item for item in bucket.list()}
    for name in known:
        (folder / name).unlink()
        os.mkfifo(folder / name)
    for read in (bucket.stat, lambda key: b"".join(bucket.sidecar(key)), lambda key: bucket.part(key, 0, 1)):
        for name in known:
            with pytest.raises(ObjectChanged, match="is no file any more"):
                read(name)
    with pytest.raises(ObjectChanged), bucket.fetched("a.mp4", known["a.mp4"].fingerprint, folder, 0.0):
        raise AssertionError("there is nothing to read")


# -- what is gone -------------------------------------------------------------------------------------------------------


def test_what_is_behind_a_link_that_is_not_followed_is_not_gone(folder, outside, lake):
    put(folder, "a.mp4", "b.mp4", "other/c.mp4")
    (folder / "disk").symlink_to(outside)
    (folder / "one.mp4").symlink_to(outside / "secret.mp4")
    keep(lake, folder, look(folder, lake, follow_links=True))
    (folder / "b.mp4").unlink()
    found = look(folder, lake)
    assert [item.key for item in found.gone] == ["b.mp4"]
    assert found.warnings == [
        "3 videos that the lake knows could not be seen, behind links or objects that were left out, and are not marked as "
        "gone: disk/deep/more.mp4, disk/secret.mp4, one.mp4."
    ]
    (folder / "disk").unlink()
    assert [item.key for item in look(folder, lake).gone] == ["b.mp4", "disk/deep/more.mp4", "disk/secret.mp4"]


def test_a_disk_that_is_away_makes_nothing_gone(folder, outside, lake, tmp_path):
    put(folder, "a.mp4")
    (folder / "disk").symlink_to(outside)
    (folder / "one.mp4").symlink_to(outside / "secret.mp4")
    keep(lake, folder, look(folder, lake, follow_links=True))
    outside.rename(tmp_path / "unplugged")
    away = look(folder, lake, follow_links=True)
    assert (away.gone, counts(away)) == ([], {"broken": 2})
    outside.mkdir()  # where it is mounted
    empty = look(folder, lake, follow_links=True)
    assert (empty.gone, counts(empty)) == ([], {"broken": 1})
    assert "disk/deep/more.mp4, disk/secret.mp4, one.mp4" in empty.warnings[0]
    put(outside, "new.mp4")
    assert [item.key for item in look(folder, lake, follow_links=True).gone] == [
        "disk/deep/more.mp4",
        "disk/secret.mp4",
    ]


def test_a_link_that_is_excluded_is_not_spoken_of(folder, outside):
    put(folder, "a.mp4")
    (folder / "disk").symlink_to(outside)
    (folder / "one.mp4").symlink_to(outside / "secret.mp4")
    for pattern in ("disk", "disk/", "disk/*"):
        found = look(folder, exclude=(pattern, "one.mp4"))
        assert (counts(found), found.left_out.notes()) == ({}, [])


@pytest.mark.parametrize("name", ["a.json", "a.info.json", "a.mp4.json", "a.mp4.info.JSON"])
def test_metadata_behind_a_link_that_is_not_followed_stay(folder, lake, tmp_path, name):
    put(folder, "a.mp4", "b.mp4", "b.json")
    put(tmp_path / "elsewhere", "meta.json")
    (folder / name).symlink_to(tmp_path / "elsewhere" / "meta.json")
    found = look(folder, lake, follow_links=True)
    assert {item.key: item.sidecar_key for item in found.work} == {"a.mp4": name, "b.mp4": "b.json"}
    keep(lake, folder, found)
    assert look(folder, lake).work == []
    (folder / "b.json").unlink()
    assert why(look(folder, lake)) == {"b.mp4": "metadata"}
    (folder / name).unlink()
    assert why(look(folder, lake)) == {"a.mp4": "metadata", "b.mp4": "metadata"}
