"""A lake of the first version, as the program of that day wrote it, becomes one of today; killed anywhere, run again.

`tests/fixtures/lake-1.tar.gz` was written by the first commit of this repository: three videos, one of them in two
generations and in capitals, one with accents, one that failed; and a run.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from conftest import REPO, command_environment
from s3_server import s3  # noqa: F401

from tasks.errors import LakeTooNew, LakeTooOld
from tasks.lake import migrate
from tasks.lake.check import check
from tasks.lake.create import create_lake
from tasks.lake.maintain import maintain
from tasks.lake.schema import LAKE_VERSION
from tasks.lake.store import MARKER, Lake
from tasks.lake.views import Snapshot, connect


@pytest.fixture
def first(tmp_path) -> Lake:
    """The lake of the first version."""
    # Python's own way of unpacking differs between its patch releases.
    subprocess.run(["tar", "-C", str(tmp_path), "-xf", str(REPO / "tests/fixtures/lake-1.tar.gz")], check=True)
    return Lake(str(tmp_path / "lake-1"))


def rows(lake, sql):
    return connect(lake).execute(sql).fetchall()


def is_whole(lake: Lake) -> None:
    """Everything of the first lake is there, in today's form."""
    assert check(lake) == []
    assert rows(lake, "SELECT key, status, n_words, n_passages, title_words FROM videos ORDER BY key") == [
        ("broken.mp4", "failed", 0, 0, "a talk"),
        ("café.mp4", "indexed", 100, 3, "cafe"),
        ("talk.mp4", "indexed", 4, 1, "a talk"),
    ]
    assert rows(lake, "SELECT text, folded FROM transcripts_all WHERE video_id LIKE '%1' ORDER BY generation") == [
        (" INTEREST RATES ROSE AGAIN ", " interest rates rose again "),
        (" INTEREST RATES FELL AGAIN ", " interest rates fell again "),
    ]
    assert rows(lake, "SELECT word, folded FROM words WHERE video_id LIKE '%2' AND word_no < 2 ORDER BY word_no") == [
        ("le", None),
        ("café", "cafe"),
    ]
    assert [w for (w,) in rows(lake, "SELECT word FROM vocabulary ORDER BY word")] == [
        "again", "cafe", "de", "fell", "gare", "interest", "la", "le", "rates", "rose",
    ]  # fmt: skip
    assert rows(lake, "SELECT count(*) FROM words_all") == [(108,)]
    assert not Path(lake.path("transcripts")).exists(), (
        "its texts are in passages now, and would outlive a forgotten video"
    )
    marker = json.loads(Path(lake.uri, MARKER).read_text())
    assert (marker["version"], [m["version"] for m in marker["migrations"]]) == (LAKE_VERSION, [2, 3, 4])
    assert "migrating" not in marker


def test_a_lake_of_the_first_version_gets_todays_form_once(first):
    with pytest.raises(LakeTooOld) as caught:
        Snapshot.of(first)
    assert caught.value.next == "nightscribe maintain"
    create_lake(first)
    is_whole(first)
    versions = {name: first.table(name).version() for name in ("videos", "words", "passages", "vocabulary")}
    create_lake(first)
    assert migrate.migrate(first) == []
    assert {name: first.table(name).version() for name in versions} == versions, "the second time nothing is written"


def test_maintain_does_it_and_search_says_so_before(first, tmp_path):
    environment = command_environment(tmp_path, NIGHTSCRIBE_LAKE=first.uri)

    def run(*arguments: str) -> tuple[int, dict]:
        command = [sys.executable, "-m", "nightscribe", *arguments, "--json"]
        done = subprocess.run(command, env=environment, cwd=REPO, capture_output=True, text=True, check=False)
        return done.returncode, json.loads(done.stdout)

    code, said = run("search", "rates")
    assert (code, said["error"]["code"], said["error"]["next"]) == (2, "lake_too_old", "nightscribe maintain")
    assert run("maintain")[0] == 0
    assert run("search", "rates")[1]["total_videos"] == 1


class Killed(BaseException):
    """In place of SIGKILL: nothing of the program handles it."""


def test_killed_before_any_write_it_is_run_again(first, monkeypatch):
    """The first try dies before its first write, the second before its second, and so on until one has none left."""
    left = 0

    def dying(act):
        def counted(*arguments, **options):
            nonlocal left
            left -= 1
            if not left:
                raise Killed
            return act(*arguments, **options)

        return counted

    monkeypatch.setattr(migrate, "CHUNK_WORDS", 10)
    monkeypatch.setattr(migrate, "rewrite", dying(migrate.rewrite))
    for name in ("append", "write_marker", "remove_table"):
        monkeypatch.setattr(Lake, name, dying(getattr(Lake, name)))
    deaths = 0
    while True:
        left = deaths + 1
        try:
            create_lake(first)
            break
        except Killed:
            deaths += 1
    assert deaths >= 5
    is_whole(first)


def test_two_at_once_on_a_lake_that_cannot_be_locked_migrate_once(first, monkeypatch):
    monkeypatch.setattr(migrate, "_alone", lambda lake: contextlib.nullcontext())
    with ThreadPoolExecutor(2) as threads:
        for future in [threads.submit(create_lake, Lake(first.uri)) for _ in range(2)]:
            future.result()
    assert check(first) == []
    assert rows(first, "SELECT count(*) FROM passages_all") == [(5,)]
    assert rows(first, "SELECT count(*) FROM videos_all") == [(4,)]


def test_an_older_program_keeps_out_of_a_newer_lake_and_of_one_under_migration(lake, monkeypatch):
    marker = Path(lake.uri, MARKER)
    marker.write_text(json.dumps({"version": LAKE_VERSION + 1, "migrating": LAKE_VERSION + 1}))
    before = sorted(p.stat().st_mtime_ns for p in Path(lake.uri).rglob("*"))
    for act in (
        lambda: create_lake(lake),
        lambda: Snapshot.of(lake),
        lambda: maintain(lake, keep_generations=1, grace_h=0),
    ):
        with pytest.raises(LakeTooNew, match="Nothing was changed") as caught:
            act()
    assert caught.value.next == "Update Nightscribe on this machine."
    assert sorted(p.stat().st_mtime_ns for p in Path(lake.uri).rglob("*")) == before
    marker.write_text(json.dumps({"version": LAKE_VERSION}))  # so that the lake can be checked


def test_a_lake_of_today_with_an_older_version_is_read_as_it_is(lake, say):
    say("hello there")
    Path(lake.uri, MARKER).write_text('{"version": 1, "made_by": "nightscribe"}')
    assert rows(lake, "SELECT text FROM transcripts") == [(" hello there ",)]
    create_lake(lake)
    assert rows(lake, "SELECT text FROM transcripts") == [(" hello there ",)]
    assert not lake.outdated()


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_lake_on_s3_is_migrated_and_forgets(first, s3, tmp_path):
    """Every object of the store is read afterwards, as its bytes and as what it decodes to."""
    from tasks.erasure.forget import find_videos, forget
    from tasks.settings import Settings

    root = Path(first.uri)
    for path in root.rglob("*"):
        if path.is_file():
            s3.upload_file(str(path), "lake", f"archive/{path.relative_to(root)}")
    shutil.rmtree(root)
    lake = Lake("s3://lake/archive")
    create_lake(lake)
    assert check(lake) == []
    assert len(rows(lake, "SELECT * FROM words_all")) == 108

    def said() -> bytes:
        everything = b""
        for page in s3.get_paginator("list_objects_v2").paginate(Bucket="lake"):
            for entry in page["Contents"]:
                data = s3.get_object(Bucket="lake", Key=entry["Key"])["Body"].read()
                everything += entry["Key"].encode() + data
                if entry["Key"].endswith(".parquet"):
                    everything += repr(pq.ParquetFile(io.BytesIO(data)).read().to_pylist()).encode()
        return everything

    assert b"transcripts" not in said()
    assert "café".encode() in said()
    certificate = forget(lake, Settings(scratch=tmp_path / "scratch"), find_videos(lake, ["café.mp4"]))
    assert certificate.complete
    assert certificate.rows["words"] == 100
    left = said()
    assert not any(word in left for word in ("café".encode(), b"caf\\u00e9", b"gare"))
    assert not re.search(rb"(?<![0-9a-f-])cafe(?![0-9a-f-])", left)  # it may also be a part of a file's random name
    assert b"INTEREST" in left
    assert check(lake) == []
