"""The tests of every stage, with stages that nobody but `tests/example` knows: added by their folders and a line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import BUCKET, REPO, command_environment


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **variables, "PYTHONPATH": f"{REPO / 'tests'}{os.pathsep}{REPO}"}
    command = [sys.executable, "-m", *arguments]
    return subprocess.run(command, cwd=REPO, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.long
def test_what_holds_for_every_stage_holds_for_these():
    done = run(
        "pytest",
        "-p",
        "example.plugin",
        "-p",
        "no:cacheprovider",
        "-q",
        "tests/contract",
        "-k",
        "letters or loudness or brightness or pictures",
    )
    assert done.returncode == 0, done.stdout[-6000:]
    assert " failed" not in done.stdout


def test_the_commands_know_them(tmp_path: Path):
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    shutil.copy(BUCKET / "business" / "interest-rates.mp4", bucket)
    own = command_environment(tmp_path)
    first = run("nightscribe", "index", str(bucket), "--json", **own)
    assert json.loads(first.stdout)["indexed"] == 1, first.stderr
    status = json.loads(run("example", "status", "--json", **own).stdout)
    assert [status["stages"][name]["missing"] for name in ("letters", "loudness", "brightness")] == [1, 1, 1]
    planned = run(
        "example", "index", str(bucket), "--stages", "letters, loudness,brightness", "--only", "--plan", **own
    )
    assert "1 missing stages" in planned.stdout, planned.stderr
    assert "letters      1 video, not measured yet" in planned.stdout
    made = run("example", "index", str(bucket), "--stages", "letters,loudness,brightness", "--only", "--json", **own)
    assert json.loads(made.stdout)["stages"] == {
        "letters": {"done": 1, "empty": 0, "failed": 0},
        "loudness": {"done": 1, "empty": 0, "failed": 0},
        "brightness": {"done": 1, "empty": 0, "failed": 0},
    }, made.stderr
    assert "Stage     letters      1 done" in run("example", "status", **own).stdout
    refused = run("nightscribe", "index", str(bucket), "--stages", "letters", **own)
    assert (refused.returncode, "There is no stage 'letters'" in refused.stderr) == (2, True)
