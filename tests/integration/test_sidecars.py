"""Sidecars of any size, as yt-dlp writes them with all comments: from a folder and from a store, in bounded memory."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from conftest import BUCKET, REPO
from s3_server import s3  # noqa: F401
from sessions import session_on, through

from tasks.errors import BadSidecar, ObjectChanged
from tasks.lake.views import connect
from tasks.settings import Settings
from tasks.sources.bucket import SIDECAR_LIMIT, open_bucket
from tasks.sources.metadata import make_metadata, parse_sidecar

pytestmark = [
    # moto and botocore leave sockets to the garbage collector
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
MB = 1_000_000
COMMENT = {
    "id": "UgzX",
    "text": "What a talk! " * 20,
    "title": "of a comment",
    "timestamp": 1_234_567_890,
    "upload_date": "19990101",
    "language": "xx",
    "tags": ["no"],
    "author_thumbnail": {"title": "of a picture", "description": "no"},
}


def write_sidecar(path: Path, megabytes: int) -> None:
    """As yt-dlp writes one: half of the comments before, half after what counts."""
    one = json.dumps(COMMENT)
    block = ", ".join([one] * (MB // len(one)))
    with path.open("w") as file:
        for name, ends in (
            ("comments", ', "title": "On moths", "timestamp": 1577934245, "tags": ["moths"], '),
            ("more", "}"),
        ):
            file.write(("{" if name == "comments" else "") + f'"{name}": [')
            for n in range(megabytes // 2):
                file.write((", " if n else "") + block)
            file.write("]" + ends)


def test_a_sidecar_of_200_megabytes_is_read_in_bounded_memory(tmp_path):
    write_sidecar(tmp_path / "talk.info.json", 200)
    assert (tmp_path / "talk.info.json").stat().st_size > 195 * MB
    source = """if True:
        import json, resource, sys
        from tasks.sources.bucket import open_bucket
        from tasks.sources.metadata import make_metadata, parse_sidecar
        from tasks.settings import Settings
        bucket = open_bucket(sys.argv[1], Settings())
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        made = make_metadata("talk.mp4", parse_sidecar(bucket.sidecar("talk.info.json"), "talk.info.json"), {})
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024
        print(json.dumps([made.title, made.tags, made.published_at.isoformat(), made.language, grown]))
    """
    command = [sys.executable, "-c", source, str(tmp_path)]
    done = subprocess.run(command, cwd=REPO, capture_output=True, text=True, timeout=300, check=True)
    *made, grown = json.loads(done.stdout)
    assert made == ["On moths", ["moths"], "2020-01-02T03:04:05+00:00", None]
    assert grown < 100, f"{grown} MB"


@pytest.mark.parametrize("megabytes", [0, 10])
def test_a_sidecar_in_a_store_is_read_piece_by_piece(s3, tmp_path, megabytes):
    write_sidecar(tmp_path / "talk.json", megabytes)
    s3.upload_file(str(tmp_path / "talk.json"), "archive", "talks/talk.json")
    bucket = open_bucket("s3://archive/talks", Settings())
    pieces = list(bucket.sidecar("talk.json"))
    assert b"".join(pieces) == (tmp_path / "talk.json").read_bytes()
    assert max(map(len, pieces)) <= 4 << 20
    made = make_metadata("talk.mp4", parse_sidecar(bucket.sidecar("talk.json"), "talk.json"), {})
    assert (made.title, made.published_at) == ("On moths", datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC))


@pytest.mark.parametrize("size", [0, 1, (4 << 20) - 1, 4 << 20, (4 << 20) + 1, 8 << 20])
def test_no_byte_is_lost_where_pieces_meet(tmp_path, size):
    (tmp_path / "talk.json").write_bytes(data := os.urandom(size))
    assert b"".join(open_bucket(str(tmp_path), Settings()).sidecar("talk.json")) == data


@pytest.mark.parametrize("checksum", [False, True])
def test_a_sidecar_that_is_rewritten_while_it_is_read_is_not_mixed_of_two(tmp_path, checksum):
    write_sidecar(tmp_path / "talk.json", 10)
    pieces = open_bucket(str(tmp_path), Settings(checksum=checksum)).sidecar("talk.json")
    next(pieces)
    write_sidecar(tmp_path / "talk.json", 12)
    with pytest.raises(ObjectChanged, match=r"talk\.json was rewritten while it was read"):
        list(pieces)


def test_a_sidecar_beyond_the_limit_is_said_and_not_read(tmp_path):
    with (tmp_path / "talk.json").open("wb") as file:
        file.truncate(SIDECAR_LIMIT + 1)
    with pytest.raises(BadSidecar, match=r"^The sidecar talk\.json is larger than 512 MB\.$"):
        parse_sidecar(open_bucket(str(tmp_path), Settings()).sidecar("talk.json"), "talk.json")


def test_a_run_takes_what_it_can_from_sidecars_and_goes_on_without_the_others(tmp_path):
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    for name in ("large", "cut", "beyond", "latin", "wide"):
        shutil.copy(BUCKET / "unsorted" / "clouds.mp4", bucket / f"{name}.mp4")
    write_sidecar(bucket / "large.info.json", 20)
    (bucket / "cut.json").write_bytes((bucket / "large.info.json").read_bytes()[:-1])
    cut = (bucket / "cut.json").stat().st_size
    with (bucket / "beyond.json").open("wb") as file:
        file.truncate(SIDECAR_LIMIT + 1)
    (bucket / "latin.json").write_bytes('{"title": "Über"}'.encode("latin-1"))
    (bucket / "wide.json").write_bytes('{"title": "Über", "upload_date": 20200102}'.encode("utf-16"))
    with session_on(str(bucket), tmp_path) as session:
        for batch in [*session.batches(), *session.late_batches()]:
            through(session, batch)
            session.committed(session.pipeline.commit([item.result for item in batch.items]))
        report = session.close("done")
    rows = (
        connect(session.lake)
        .execute("SELECT key, title, published_at::DATE::VARCHAR FROM videos ORDER BY key")
        .fetchall()
    )
    assert rows == [
        ("beyond.mp4", "beyond", None),
        ("cut.mp4", "cut", None),
        ("large.mp4", "On moths", "2020-01-02"),
        ("latin.mp4", "latin", None),
        ("wide.mp4", "Über", "2020-01-02"),
    ]
    assert {warning.split(": ", 1)[0]: warning.split(": ", 1)[1] for warning in report.warnings} == {
        "beyond.mp4": "The sidecar beyond.json is larger than 512 MB. The video was indexed without it.",
        "cut.mp4": f"The sidecar cut.json is not JSON: it is cut off after line 1, column {cut + 1}. "
        "The video was indexed without it.",
        "latin.mp4": "The sidecar latin.json is not JSON: its text is not in UTF-8; save it in UTF-8. "
        "The video was indexed without it.",
    }
