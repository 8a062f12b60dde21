"""The check of a GPU: its own trial without one, and what it says where there is none."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from conftest import REPO, command_environment


def checked(tmp_path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(REPO / "tools/gpu_check.py"), *options]
    return subprocess.run(command, env=command_environment(tmp_path), capture_output=True, text=True, check=False)


@pytest.mark.long
@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_without_a_gpu_it_says_so(tmp_path):
    done = checked(tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("This machine has no GPU")


@pytest.mark.long
def test_a_trial_without_a_gpu_gives_the_whole_table(tmp_path):
    done = checked(tmp_path, "--device", "cpu", "--minutes", "0.7")
    assert done.returncode == 0, done.stderr
    rows = [line for line in done.stdout.splitlines() if line.startswith("| ")]
    assert len(rows) == 7
    assert "| 0.00% |" in rows[2]
    assert sum("times real time" in row for row in rows) == 3
