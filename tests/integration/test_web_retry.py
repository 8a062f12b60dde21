"""The button of the operations page: a real run tries the failed videos again."""

from __future__ import annotations

import time

import httpx
import pytest
from conftest import command_environment
from forked import nightscribe
from web_archive import serving

from tasks.settings import Settings
from tasks.web.retry import Retrier


@pytest.mark.long
def test_failed_videos_are_tried_again_from_the_page(tmp_path, monkeypatch):
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    (bucket / "broken.mp4").write_bytes(b"no video at all" * 100)
    environment = command_environment(tmp_path)
    first = nightscribe("index", bucket, env=environment)
    assert first.returncode == 1, first.stderr
    for name in ("PREFECT_HOME", "PREFECT_API_URL"):
        monkeypatch.setenv(name, environment[name])
    settings = Settings(lake=str(tmp_path / "lake"), scratch=tmp_path / "scratch", web_retry=True)
    with serving(settings) as address, httpx.Client(base_url=address, timeout=30) as client:
        assert "Try the failed videos again" in client.get("/operations").text
        asked = client.post("/operations/retry")
        assert (asked.status_code, asked.headers["location"]) == (303, "/operations")
        assert client.post("/operations/retry").status_code == 503  # one at a time
        assert "Failed videos are being tried again." in client.get("/operations").text
        until = time.monotonic() + 120
        while "being tried again" in (page := client.get("/operations").text):
            assert time.monotonic() < until
            time.sleep(0.5)
        assert "ended with exit code 1" in page
        runs = client.get("/api/operations").json()["runs"]
        assert [run["failed"] for run in runs] == [1, 1]
        [failure] = client.get("/api/operations").json()["failures"]["latest"]
        assert (failure["reason"], failure["attempts"]) == ("not_media", 2)


def test_a_server_that_stops_starts_no_run_for_the_next_bucket(tmp_path, monkeypatch):
    started = tmp_path / "started"
    program = tmp_path / "program"
    program.write_text(f'#!/bin/sh\necho "$@" >> "{started}"\nexec sleep 30\n')
    program.chmod(0o755)
    monkeypatch.setattr("tasks.web.retry.sys.executable", str(program))
    retrier = Retrier(Settings(lake=str(tmp_path / "lake"), scratch=tmp_path / "scratch"))
    retrier.start(["first", "second", "third"])
    until = time.monotonic() + 20
    while not started.exists() or not started.read_text().endswith("\n"):
        assert time.monotonic() < until
        time.sleep(0.02)
    retrier.close()
    while retrier.state.state == "running":
        assert time.monotonic() < until
        time.sleep(0.02)
    assert [line.split()[-1] for line in started.read_text().splitlines()] == ["first"]
    assert retrier.state.exit_code == 130
