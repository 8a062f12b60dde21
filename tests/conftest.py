"""What tests share: places of test data, a lake to fill, results to fill it with."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import sqlite3
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from nightscribe.temporary_server import TemporaryServer
from tasks.lake.check import check
from tasks.lake.commit import commit
from tasks.lake.create import create_lake
from tasks.lake.store import MARKER, Lake
from tasks.models.catalog import ModelSet, model_set
from tasks.records import Cue, Metadata, Outcome, Recipes, Result, Topic, VideoTask, Word
from tasks.screen.texts import Shown, texts
from tasks.stages.registry import STAGES
from tasks.stages.screen.runner import screen_rows
from tasks.stages.transcript import outcomes

REPO = Path(__file__).resolve().parent.parent
BUCKET = REPO / "data" / "bucket"
TESTDATA = Path(os.environ.get("NIGHTSCRIBE_TESTDATA", REPO.parent / "shared" / "testdata"))

# Two test processes with torch's threads in each take the processors from one another. Read when torch is imported, here and in
# the commands of tests.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# ELASTICSEARCH_URL says which server the tests take (tests/search_server), and is no archive's.
os.environ["NIGHTSCRIBE_ELASTICSEARCH_URL"] = ""

_at_the_end = contextlib.ExitStack()


@functools.cache
def _shared_folder() -> Path:
    made = tempfile.TemporaryDirectory(prefix="nightscribe-prefect-", ignore_cleanup_errors=True)
    return Path(_at_the_end.enter_context(made))


@functools.cache
def shared_prefect() -> str:
    """The address of a Prefect server for the commands of this process's tests.

    The first of them starts it: a server for every command would take longer than what most of them do.
    """
    environment = command_environment(_shared_folder(), PREFECT_API_URL="")
    del environment["PREFECT_API_URL"]
    with mock.patch.dict(os.environ, environment, clear=True):
        server = _at_the_end.enter_context(TemporaryServer())
    server.wait()
    return server.url


@functools.cache
def _prefect_tables() -> Path:
    """Prefect's database as `shared_prefect` made it: its migrations take a server longer than all else that it begins with."""
    shared_prefect()
    folder = Path(_at_the_end.enter_context(tempfile.TemporaryDirectory(prefix="nightscribe-tables-")))
    with (
        contextlib.closing(sqlite3.connect(_shared_folder() / "prefect" / "prefect.db")) as made,
        contextlib.closing(sqlite3.connect(folder / "prefect.db")) as copied,
    ):
        made.backup(copied)
    return folder / "prefect.db"


def prefect_tables(home: Path) -> None:
    """Give a new Prefect home a database that has its tables already."""
    if not home.exists():
        home.mkdir(parents=True)
        shutil.copy(_prefect_tables(), home)


def pytest_sessionfinish() -> None:
    _at_the_end.close()


def command_environment(folder: Path, **more: str | None) -> dict[str, str]:
    """Variables for a command of its own: lake, scratch and Prefect's files in `folder`, nothing of the caller's.

    None takes a variable out: without PREFECT_API_URL a command starts a Prefect server of its own, as a user's does who
    has none.
    """
    others = ("PREFECT_", "NIGHTSCRIBE_", "ELASTICSEARCH_URL")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(others)}
    own = {
        "NIGHTSCRIBE_LAKE": str(folder / "lake"),
        "NIGHTSCRIBE_SCRATCH": str(folder / "scratch"),
        "PREFECT_HOME": str(folder / "prefect"),
    }
    if "PREFECT_API_URL" not in more:
        own["PREFECT_API_URL"] = shared_prefect()
    elif more["PREFECT_API_URL"] is None:
        prefect_tables(folder / "prefect")
    return {name: value for name, value in (kept | own | more).items() if value is not None}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--long", action="store_true", help="tests of endurance at their full length, and those that take long"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests marked `long` run with `--long` alone. Those that are longer with it are marked too: `-m long` finds them all."""
    for item in items:
        if item.get_closest_marker("long") and not config.getoption("--long"):
            item.add_marker(pytest.mark.skip(reason="takes long: --long"))
        if "long" in getattr(item, "fixturenames", ()):
            item.add_marker("long")


@pytest.fixture
def long(request: pytest.FixtureRequest) -> bool:
    """Whether tests of endurance run at their full length."""
    return bool(request.config.getoption("--long"))


@pytest.fixture(autouse=True)
def every_lake_adds_up(request: pytest.FixtureRequest) -> Iterator[None]:
    """After a test, the lakes in its folder are checked, as `maintain --check` does: with `--long` after every test, else after
    every fourth, always the same ones, because it takes longer than most tests. `broken_lake` is for tests of damage."""
    folder: Path | None = request.getfixturevalue("tmp_path") if "tmp_path" in request.fixturenames else None
    yield
    if folder is None or request.node.get_closest_marker("broken_lake"):
        return
    if not request.config.getoption("--long") and zlib.crc32(request.node.nodeid.encode()) % 4:
        return
    for marker in (*folder.glob(f"*/{MARKER}"), *folder.glob(f"*/*/{MARKER}")):
        assert check(Lake(str(marker.parent))) == []


@pytest.fixture
def testdata() -> Path:
    """Recorded speech and media by other people, where they are."""
    if not TESTDATA.is_dir():
        pytest.skip(f"no test data at {TESTDATA}; set NIGHTSCRIBE_TESTDATA")
    return TESTDATA


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    """An empty lake in a folder whose name needs quoting and escaping."""
    made = Lake(str(tmp_path / "the lake's ü"))
    create_lake(made)
    return made


def rarely(*values: object) -> list[Any]:
    """Parameters of a test that are tried with `--long` alone."""
    return [pytest.param(value, marks=pytest.mark.long) for value in values]


def older_set() -> ModelSet:
    """Models by which lakes of version 3 were made, and hashes of recipes that stand in tests."""
    values = {
        "language": "en",
        "licence": "MIT",
        "acoustic": "someone/acoustic",
        "lm": "someone/words",
        "lm_revision": "a" * 40,
    }
    return model_set("some", values | {"topics": "someone/topics", "blank_penalty": 0.5})


def made_by(options: Mapping[str, Any] | None = None, **changed: str) -> Recipes:
    """Recipes of all stages, some of them others than usual."""
    return Recipes({name: name[0] for name in STAGES.names} | changed, options or {})


def spoken(
    text: str, *, start_ms: int = 0, word_ms: int = 300, gap_ms: int = 100, confidence: float = 0.9
) -> tuple[Word, ...]:
    """Words said one after the other; `|` is a pause of two seconds."""
    words, at = [], start_ms
    for word in text.split():
        if word == "|":
            at += 2000
            continue
        words.append(Word(word, at, at + word_ms, confidence))
        at += word_ms + gap_ms
    return tuple(words)


def outcomes_of(
    status: str, words: Sequence[Word] = (), cues: Sequence[Cue] = (), topics: Sequence[Topic] = ()
) -> dict[str, Outcome]:
    """What a run leaves of the stages of a video with this status."""
    if status in ("failed", "gone", "forgotten"):
        return {}
    found = outcomes(words, cues, topics)
    return {"topics": found["topics"]} if status == "no_audio" else found


def retold(made: Result, words: Sequence[Word], cues: Sequence[Cue], topics: Sequence[Topic] = ()) -> Result:
    """The same video with another transcript."""
    return replace(made, words=tuple(words), outcomes=outcomes(words, cues, topics))


def with_rows(made: Result, **tables: Sequence[Mapping[str, Any]]) -> Result:
    """The same video with other rows of some stages: `topics=rows`."""
    others = {STAGES.tables[name][0].name: Outcome({name: rows}, 0.0) for name, rows in tables.items()}
    return replace(made, outcomes={**made.outcomes, **others})


def on_screen(made: Result, *shown: tuple[int, int, str]) -> Result:
    """The same video with writing on the screen: (start_ms, end_ms, lines), from top to bottom."""
    frames = [Shown(start, end, tuple((line, 0.9) for line in lines.split("\n"))) for start, end, lines in shown]
    rows = [
        {"start_ms": f.start_ms, "end_ms": f.end_ms, "line": number, "text": text, "score": score}
        | dict.fromkeys(("x", "y", "width", "height"), 0.1)
        for f in frames
        for number, (text, score) in enumerate(f.lines)
    ]
    return with_rows(made, screen_lines=rows, screen=screen_rows(texts(frames, made.words)))


def with_seconds(made: Result, **seconds: float) -> Result:
    """The same video with other times that its stages took."""
    outcomes = {name: replace(one, seconds=seconds.get(name)) for name, one in made.outcomes.items()}
    return replace(made, outcomes=outcomes, seconds={n: s for n, s in seconds.items() if n not in made.outcomes})


@pytest.fixture
def result() -> Callable[..., Result]:
    """Makes an indexed video's result from a text."""

    def make(
        text: str,
        *,
        video_id: str = "0" * 20,
        key: str = "talk.mp4",
        title: str = "A talk",
        topic: str | None = None,
        status: str = "indexed",
        published_at: datetime | None = datetime(2024, 1, 1, tzinfo=UTC),
        last_generation: int = 0,
        language: str = "en",
        recipes: Recipes | None = None,
        fingerprint: str = "1-1",
        confidence: float = 0.9,
    ) -> Result:
        words = spoken(text, confidence=confidence)
        cues: tuple[Cue, ...] = ()
        if words:
            said = " ".join(word.word for word in words)
            cues = (Cue(words[0].start_ms, words[-1].end_ms, said, confidence, 0, len(words) - 1),)
        work = VideoTask(
            video_id, key, 1, fingerprint, None, None, None, "new", STAGES.names, last_generation=last_generation
        )
        topics = (Topic("video", 0, 1000, 1, topic, 0.9, "test"),) if topic else ()
        return Result(
            work=work,
            bucket="file:///bucket",
            bucket_uri="file:///bucket",
            status=status,  # type: ignore[arg-type]
            metadata=Metadata(title, "", (), published_at, language),
            recipes=recipes or made_by(),
            duration_ms=words[-1].end_ms if words else 0,
            language=language,
            words=words,
            outcomes=outcomes_of(status, words, cues, topics),
            speech_ms=words[-1].end_ms if words else 0,
        )

    return make


@pytest.fixture
def say(lake: Lake, result: Callable[..., Result]) -> Callable[..., int]:
    """Commits a video that says a text: words of 300 ms every 400 ms, `|` is a pause of 2 s. Returns its generation."""

    def put(text: str, key: str = "talk.mp4", **fields: object) -> int:
        video_id = key.encode().hex()[:20].ljust(20, "0")
        made = result(text, key=key, video_id=video_id, **fields)
        return commit(lake, [made], run_id="r", device="cpu")[0].generation

    return put


@pytest.fixture(scope="session")
def prefect(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A whole Prefect server with the deployments, one for all tests: starting it takes as long as the rest."""
    from prefect_server import prefect_server

    with prefect_server(tmp_path_factory.mktemp("prefect")) as server:
        done = server.command("setup", "--json")
        assert done.returncode == 0, done.stderr
        server.first = json.loads(done.stdout)
        yield server


@pytest.fixture
def bucket(tmp_path: Path) -> Path:
    """A bucket of four clips: three short, and one of half a minute."""
    from sessions import cut

    folder = tmp_path / "bucket"
    folder.mkdir()
    for name, seconds in (("a.wav", 4), ("b.wav", 4), ("c.wav", 4), ("long.wav", 36)):
        cut(folder / name, seconds)
    return folder
