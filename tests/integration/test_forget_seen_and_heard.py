"""A forgotten video leaves nothing of what was seen, heard or written in it: every byte is read for its vectors and texts."""

from __future__ import annotations

from pathlib import Path

import pytest
from conftest import on_screen, with_rows
from deltalake import WriterProperties
from forgotten import ID, KEY, SECRETS, found, nothing_is_left, rows, settings  # noqa: F401

from tasks.erasure.forget import find_videos, forget
from tasks.lake.check import check
from tasks.lake.commit import commit
from tasks.lake.schema import TABLES
from tasks.lake.store import Lake

OF_STAGES = ("frames", "sounds", "sound_events", "screen_lines", "screen")


def vector(secret: str) -> bytes:
    """So many signed bytes, in which a secret can be read."""
    return secret.encode().ljust(64, b"\x01")


@pytest.fixture
def filled(lake: Lake, result) -> Lake:
    """A video with secrets in all that was seen and heard, twice, and another one with none."""
    for key, secrets in ((KEY, SECRETS), ("weather/1.mp4", ("rain", "wind", "snow", "hail"))):
        last = 0
        for _ in range(2):
            made = result("of the day", key=key, video_id=key.encode().hex()[:20].ljust(20, "0"), last_generation=last)
            frame = {"start_ms": 0, "end_ms": 900, "shot": 0, "picture": 0, "vector": vector(secrets[0]), "scale": 0.1}
            sound = {"start_ms": 0, "end_ms": 900, "piece": 0, "vector": vector(secrets[1]), "scale": 0.1}
            event = {"start_ms": 0, "end_ms": 900, "label": secrets[2], "score": 0.9}
            seen = with_rows(made, frames=[frame], sounds=[sound], sound_events=[event])
            shown = on_screen(seen, (0, 900, f"{secrets[3]} at dawn"), (900, 1800, f"{secrets[0]} at noon"))
            last = commit(lake, [shown], run_id="r", device="cpu")[0].generation
    return lake


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "compressed"])
def test_no_vector_and_no_text_of_it_is_left(filled, settings, tmp_path, compressed):
    if not compressed:
        for name in TABLES:
            filled.table(name).optimize.compact(writer_properties=WriterProperties(compression="UNCOMPRESSED"))
    assert found(Path(filled.uri)) == set(SECRETS), "the look would find what is there"
    others = {
        name: rows(filled, f"SELECT * FROM {name}_all WHERE video_id <> '{ID}' ORDER BY ALL") for name in OF_STAGES
    }
    assert all(others.values())

    certificate = forget(filled, settings, find_videos(filled, [KEY]))

    nothing_is_left(filled, tmp_path)
    assert certificate.complete
    assert {name: certificate.rows[name] for name in OF_STAGES} == {
        "frames": 2, "sounds": 2, "sound_events": 2, "screen_lines": 4, "screen": 4,
    }  # fmt: skip
    for name in OF_STAGES:
        assert rows(filled, f"SELECT * FROM {name}_all WHERE video_id <> '{ID}' ORDER BY ALL") == others[name]
        assert rows(filled, f"SELECT count(*) FROM {name}_all WHERE video_id = '{ID}'") == [(0,)]
    words = {word for (word,) in rows(filled, "SELECT word FROM vocabulary")}
    assert words >= {"hail", "rain", "dawn", "noon", "day"}
    assert check(filled) == []
