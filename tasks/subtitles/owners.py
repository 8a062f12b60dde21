"""Which subtitle files Nightscribe wrote, and of which video. WebVTT says so itself; SubRip has no comments, so each folder
has a ledger of its .srt files."""

from __future__ import annotations

import hashlib
import json
import os
import re
from functools import lru_cache
from pathlib import Path

from tasks.subtitles.formats import MARK

LEDGER = ".nightscribe-subtitles"
HEAD = 400  # bytes of a file, within which it says who made it
_NOTE = re.compile(rf"\ufeff?WEBVTT[^\n]*\s+NOTE {MARK}(?:; machine transcript of (\w+))?")


def owner_of(path: Path) -> str | None:
    """The id of the video that a file is of; an empty string when it does not say; None when it is not ours.

    Raises:
        OSError: the ledger cannot be read.
    """
    if path.suffix != ".vtt":
        return _ledger(path).get(path.name) if path.is_file() else None
    try:
        with path.open("rb") as handle:
            note = _NOTE.match(handle.read(HEAD).decode("utf-8", "replace"))
    except OSError:
        return None
    return (note[1] or "") if note else None


def claim(path: Path, video_id: str) -> None:
    """Note that a file is ours before it is written, where it cannot say so itself."""
    if path.suffix == ".vtt" or _ledger(path).get(path.name) == video_id:
        return
    ledger = path.parent / LEDGER
    line = json.dumps([path.name, video_id] if video_id else path.name)
    with ledger.open("a+b") as handle:
        if handle.tell():  # what a writer that was killed left of a line must not spoil this one
            handle.seek(-1, os.SEEK_END)
            line = line if handle.read(1) == b"\n" else f"\n{line}"
        handle.write(f"{line}\n".encode())


def part_of(path: Path, owner: str) -> Path:
    """What a file is called before it is whole. Beside a video that follows from the video, whose subtitles may be called
    otherwise when they are forgotten."""
    name = f"{owner}{path.suffix}" if owner else path.name
    return path.with_name(f".{hashlib.sha256(os.fsencode(name)).hexdigest()[:12]}.part")


def remove(path: Path) -> None:
    """Remove a file of ours, and its line in the ledger."""
    path.unlink()
    known = _ledger(path)
    if path.suffix == ".vtt" or path.name not in known:
        return
    lines = [json.dumps([name, owner] if owner else name) for name, owner in known.items() if name != path.name]
    ledger = path.parent / LEDGER
    part = ledger.with_name(f"{LEDGER}.part")
    part.write_text("".join(f"{line}\n" for line in sorted(lines)), encoding="utf-8")
    os.replace(part, ledger)


def _ledger(path: Path) -> dict[str, str]:
    """The .srt files beside `path` that are ours, with their videos. Each is a line of JSON: a name with a line break must
    not become two names."""
    ledger = path.parent / LEDGER
    try:
        now = ledger.stat()
    except FileNotFoundError:
        return {}
    return _read(ledger, now.st_mtime_ns, now.st_size, now.st_ino)


@lru_cache(maxsize=4)
def _read(ledger: Path, *_state: int) -> dict[str, str]:
    known: dict[str, str] = {}
    for line in ledger.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            said = json.loads(line)
        except ValueError:
            continue
        if isinstance(said, str):
            known[said] = ""
        elif isinstance(said, list) and len(said) == 2 and all(isinstance(part, str) for part in said):
            known[said[0]] = said[1]
    return known
