"""`nightscribe` in a process of its own, in a folder of its own, over a lake of two videos."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from forked import nightscribe

from tasks.lake.commit import commit
from tasks.lake.store import Lake
from tasks.records import Result


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A working folder with an empty bucket."""
    made = tmp_path / "home"
    (made / "bucket").mkdir(parents=True)
    return made


@pytest.fixture
def run(home: Path) -> Callable[..., subprocess.CompletedProcess]:
    """Runs `nightscribe` in the working folder, with no settings from outside; with `options` of Python in an interpreter of its own."""
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("NIGHTSCRIBE_", "ELASTICSEARCH_"))
    }

    def call(*arguments: str, text: bool = True, env: dict[str, str] | None = None, options: tuple[str, ...] = ()):
        environment = {**clean, "COLUMNS": "100", **(env or {})}
        if options:
            command = [sys.executable, *options, "-m", "nightscribe", *arguments]
            done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=text, timeout=120)
        else:
            done = nightscribe(*arguments, env=environment, cwd=home, text=text, timeout=120)
        said = done.stderr if text else done.stderr.decode()
        assert "Traceback" not in said, said
        return done

    return call


@pytest.fixture
def filled(lake: Lake, result: Callable[..., Result]) -> Lake:
    """A lake of two videos; one title tries what a terminal, a table and a CSV file make of it."""
    first = result("interest rates rise", key="talks/a.mp4", video_id="a" * 20, topic="Economy", title="Rates")
    second = result("hello there world", key="b.mp4", video_id="b" * 20, title='[red]"quoted", ü[/red]')
    commit(lake, [first, second], run_id="r", device="cpu")
    return lake


def error_of(done: subprocess.CompletedProcess) -> dict[str, str]:
    document = json.loads(done.stdout)
    assert list(document) == ["error"]
    assert list(document["error"]) == ["code", "message", "next"]
    return document["error"]
