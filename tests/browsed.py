"""The archive that a browser looks at in tests, and the phone it may be on."""

from __future__ import annotations

from dataclasses import replace

import pytest
from conftest import with_rows
from web_archive import TRACK, archive, long_talk, serving, video  # noqa: F401

from tasks.lake.commit import commit
from tasks.records import Probe

LONG, QUIET, GUESSED = "2" * 20, "4" * 20, "5" * 20
PHONE = {"viewport": {"width": 390, "height": 780}, "has_touch": True, "is_mobile": True}


@pytest.fixture(scope="module")
def address(archive):
    wav = Probe(4_000, "wav", None, None, None, None, (replace(TRACK, codec="pcm_s16le"),))
    quiet = video("only a tone", QUIET, "tone.wav", archive.bucket, title="No topics", probe=wav, duration_ms=4_000)
    guessed = video("only a guess", GUESSED, "bank.mp4", archive.bucket, title="A guess", clock="estimated")
    made = [
        long_talk(archive.bucket, LONG, 50),
        with_rows(quiet, topics=quiet.outcomes["topics"].rows["topics"][:1]),
        with_rows(guessed, topics=()),
    ]
    commit(archive.lake, made, run_id="r2", device="cpu")
    with serving(archive.settings) as found:
        yield found
