"""An archive for tests of the web app: a lake with real media beside it, and a real server on it."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest
from conftest import BUCKET, made_by, spoken

from dashboards.serve import make_server
from tasks.lake.commit import commit
from tasks.lake.create import create_lake
from tasks.lake.store import Lake
from tasks.records import AudioTrack, Cue, Metadata, Probe, Result, Topic, VideoTask, Word
from tasks.runs.report import RunReport
from tasks.settings import Settings
from tasks.stages.registry import STAGES
from tasks.stages.transcript import outcomes

BANK, EVIL, PERSIAN, FAILED, SOUND, COPIED, OUTSIDE, LINKED = (letter * 20 for letter in "abcdef01")
SCRIPT = "<script>alert(1)</script>"
EVIL_TITLE = f"{SCRIPT}\"'><img src=x onerror=alert(1)>"
SAID = "the central bank left interest rates high | the governor said interest rates rise"


@dataclass(frozen=True)
class Archive:
    """A lake, and the settings of a server on it."""

    lake: Lake
    bucket: Path
    settings: Settings


def video(
    text: str,
    video_id: str,
    key: str,
    bucket: Path,
    *,
    title: str = "A talk",
    description: str = "",
    topic: str = "business",
    published: str = "2024-02-01",
    language: str = "en",
    duration_ms: int = 53_417,
    probe: Probe | None = None,
    unsure: str = "",
    **more: object,
) -> Result:
    """An indexed video; a cue for every five words, the word `unsure` with little confidence."""
    words = tuple(
        replace(word, confidence=0.3) if word.word == unsure else word for word in spoken(text, start_ms=1000)
    )
    cues = tuple(
        Cue(part[0].start_ms, part[-1].end_ms, " ".join(word.word for word in part), 0.9, n, n + len(part) - 1)
        for n in range(0, len(words), 5)
        if (part := words[n : n + 5])
    )
    topics = (
        Topic("video", 0, duration_ms, 1, topic, 0.9, "t"),
        Topic("window", 0, duration_ms // 2, 1, topic, 0.8, "t"),
        Topic("window", duration_ms // 2, duration_ms, 1, "sport", 0.6, "t"),
    )
    options = {"emissions": {"model": "asr-test"}, "words": {"lm": "lm-test"}, "topics": {"model": "t"}}
    return Result(
        work=VideoTask(video_id, key, 1, "1-1", None, None, None, "new", STAGES.names),
        bucket=bucket.as_uri(),
        bucket_uri=bucket.as_uri(),
        status="indexed",
        metadata=Metadata(
            title, description, (title,), datetime.fromisoformat(published).replace(tzinfo=UTC), language
        ),
        recipes=made_by(options),
        duration_ms=duration_ms,
        language=language,
        words=words,
        outcomes=outcomes(words, cues, topics),
        speech_ms=words[-1].end_ms + 10_000 if words else 0,
        probe=probe or Probe(duration_ms, "mov,mp4,m4a,3gp,3g2,mj2", "h264", 640, 360, 25.0, (TRACK,)),
        audio_track=0,
        **more,  # type: ignore[arg-type]
    )


TRACK = AudioTrack(0, "aac", 1, "mono", 16_000, None, True)


def fill(lake: Lake, bucket: Path) -> None:
    """Eight videos: plain, hostile, right to left, failed, sound only, one that browsers do not play, two outside."""
    bucket.mkdir()
    shutil.copy(BUCKET / "business" / "interest-rates.mp4", bucket / "bank.mp4")
    shutil.copy(BUCKET / "entertainment" / "film-festival.mkv", bucket / "film.mkv")
    evil = f"{SCRIPT.replace('/', '_')}.mp4"
    shutil.copy(BUCKET / "unsorted" / "cut off.mp4", bucket / evil)
    secret = bucket.parent / "secret.mp4"
    secret.write_bytes(b"secret")
    (bucket / "link.mp4").symlink_to(secret)
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-f",
        "lavfi",
        "-i",
        "sine=duration=4",
        "-c:a",
        "pcm_s16le",
        "-y",
        str(bucket / "tone.wav"),
    ]
    subprocess.run(command, check=True)
    failed = replace(
        video("", FAILED, "broken.mp4", bucket, title="A broken one", duration_ms=0),
        status="failed", reason="corrupt", error=f"It is damaged. {SCRIPT}", outcomes={}, words=(),
    )  # fmt: skip
    mkv = Probe(45_750, "matroska,webm", "h264", 640, 360, 25.0, (replace(TRACK, codec="flac"),))
    wav = Probe(4_000, "wav", None, None, None, None, (replace(TRACK, codec="pcm_s16le"),))
    made = [
        video(SAID, BANK, "bank.mp4", bucket, title="The bank leaves rates", description="About a bank.", unsure="high"),
        video(
            f"{SCRIPT} &amp; <b>bank</b> {{{{7*7}}}} --> javascript:alert(1)", EVIL, evil, bucket, title=EVIL_TITLE,
            description=EVIL_TITLE, topic=f"<i>{SCRIPT}</i>", published="2024-03-01",
        ),
        video("سلام دنیا این یک آزمایش است", PERSIAN, "fa.mp4", bucket, title="سلام", language="fa", published="2023-05-05"),
        failed,
        video("only a tone", SOUND, "tone.wav", bucket, title="A tone", probe=wav, duration_ms=4_000),
        video("a film wins", COPIED, "film.mkv", bucket, title="A film", topic="film", probe=mkv, duration_ms=45_750),
        video("out of the bucket", OUTSIDE, "../secret.mp4", bucket, title="Outside"),
        video("through a link", LINKED, "link.mp4", bucket, title="Linked"),
    ]  # fmt: skip
    commit(lake, made, run_id="r1", device="cpu")
    report = RunReport("r1", lake.uri, bucket.as_uri(), datetime(2024, 3, 2, 1, tzinfo=UTC))
    report.add(made)
    report.seconds = {"emissions": 30.0, "total": 60.0}
    lake.append("runs", [report.row(datetime(2024, 3, 2, 1, 1, tzinfo=UTC), "done")], batch_id="run-r1")


def long_talk(bucket: Path, video_id: str, cues: int) -> Result:
    """A video of many lines, a second each: `word0 word1 ...`."""
    words = tuple(Word(f"word{n}", 250 * n, 250 * n + 200, 0.9) for n in range(4 * cues))
    made = video("x", video_id, "bank.mp4", bucket, title="A long talk")
    lines = tuple(
        Cue(1000 * n, 1000 * n + 950, " ".join(word.word for word in words[4 * n : 4 * n + 4]), 0.9, 4 * n, 4 * n + 3)
        for n in range(cues)
    )
    stays = {"topics": made.outcomes["topics"]}
    return replace(made, words=words, outcomes=outcomes(words, lines) | stays)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """A filled lake that the tests of a module share; they only read it."""
    folder = tmp_path_factory.mktemp("archive")
    lake = Lake(str(folder / "the lake's ü"))
    create_lake(lake)
    fill(lake, folder / "bucket")
    settings = Settings(lake=lake.uri, scratch=folder / "scratch", price_machine_hour=2.0, sql_memory_mb=512)
    return Archive(lake, folder / "bucket", settings)


@contextlib.contextmanager
def serving(settings: Settings) -> Iterator[str]:
    """A server on a free port for as long as the context lasts; its address."""
    server = make_server(settings)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            until = time.monotonic() + 20
            while not server.started:
                assert thread.is_alive(), "the server did not start"
                assert time.monotonic() < until, "the server did not start"
                time.sleep(0.02)
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(20)
            assert not thread.is_alive()


@pytest.fixture(scope="module")
def web(archive: Archive) -> Iterator[httpx.Client]:
    """A client of a server on the archive."""
    with serving(archive.settings) as address, httpx.Client(base_url=address, timeout=30) as client:
        yield client
