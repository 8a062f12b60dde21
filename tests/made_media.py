"""Media files that ffmpeg makes for a test."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tasks.records import AudioTrack
from tasks.settings import Settings

SETTINGS = Settings(scratch_free_gb=0.0, probe_timeout_s=20.0)
TRACK = AudioTrack(0, "aac", 1, "mono", 16_000, None, True)


def make(*arguments: str | Path) -> None:
    """Run ffmpeg to make a test file."""
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", "-threads", "1", *map(str, arguments)], check=True)


def tone(path: Path, *options: str, seconds: float = 2.0) -> Path:
    """A file with a tone of 440 Hz."""
    make("-f", "lavfi", "-i", f"sine=440:r=16000:d={seconds}", *options, path)
    return path
