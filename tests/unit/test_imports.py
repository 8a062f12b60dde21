"""What is heavy is imported where it is needed: torch takes seconds, and most commands need no model."""

from __future__ import annotations

import subprocess
import sys

import pytest
from conftest import REPO


@pytest.mark.parametrize(
    "modules",
    [
        "tasks.runs.session, tasks.runs.plan, tasks.runs.status, tasks.runs.maintenance",
        "flows.index, flows.nightly, flows.backfill, flows.sync, flows.maintain",
        "tasks.web.videos, tasks.web.operations, dashboards.app",
        "tasks.search.answer, tasks.search.elastic.sync, tasks.subtitles.files",
    ],
)
def test_no_model_framework_comes_with(modules):
    code = f"import sys, {modules}; print(*({{'torch', 'transformers', 'kenlm'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")
