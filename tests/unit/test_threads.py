"""Threads of torch give way to other programs on the same machine."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from conftest import REPO


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "10000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "PASSIVE"}, "0")],
    ids=["alone", "as it was set", "as the policy says"],
)
def test_threads_that_wait_spin_for_a_short_time(given, expected):
    """libgomp itself says what it has read."""
    kept = {name: value for name, value in os.environ.items() if name not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    done = subprocess.run(
        [sys.executable, "-c", "import tasks.speech.acoustic"],
        env={**kept, **given, "OMP_DISPLAY_ENV": "VERBOSE"},
        cwd=REPO,
        capture_output=True,
        text=True,
        check=True,
    )
    found = re.findall(r"GOMP_SPINCOUNT = '(\d+)'", done.stderr)
    if not found:
        pytest.skip("this torch has another OpenMP library")
    assert set(found) == {expected}
