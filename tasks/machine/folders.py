"""Files and folders that are replaced whole, so that a kill leaves the old one or the new one."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tasks.errors import Misconfigured
from tasks.machine.hardware import is_first_process


@contextlib.contextmanager
def replacing(target: Path, keep: str = "") -> Iterator[Path]:
    """A new folder beside `target` that takes its place when the context ends well; the folder `keep` in it stays."""
    part, old = _beside(target, "part"), _beside(target, "old")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    yield part
    if keep and (target / keep).is_dir():
        shutil.copytree(target / keep, part / keep)
    shutil.rmtree(old, ignore_errors=True)
    if target.exists():
        target.rename(old)
    part.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file (text as UTF-8) so that a kill leaves the old one or the new one."""
    part = _beside(path, "part")
    part.write_bytes(content.encode() if isinstance(content, str) else content)
    part.replace(path)


def same_run(folder: Path, this: Mapping[str, Any], made: Sequence[str] = ()) -> None:
    """Make `folder` and note what the run in it is of.

    A run that has made nothing yet, none of the folders `made`, gives way: its command was mended.

    Raises:
        Misconfigured: it holds another run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "run.json"
    for name in made:
        recover(folder / name)
    if not path.exists() or (made and not any((folder / name).exists() for name in made)):
        if is_first_process():
            write_whole(path, json.dumps(dict(this), indent=1) + "\n")
        return
    old = json.loads(path.read_text(encoding="utf-8"))
    if differing := sorted(name for name in {*old, *this} if old.get(name) != this.get(name)):
        raise Misconfigured(
            f"{folder} holds another run: {', '.join(differing)} differ.", next="Name another folder with --out."
        )


def recover(target: Path) -> None:
    """Bring back what a kill between the two renames left without its name."""
    old = _beside(target, "old")
    if not target.exists() and old.exists():
        old.rename(target)


def _beside(target: Path, suffix: str) -> Path:
    whole = Path(os.path.abspath(target))  # `.` has no name
    return whole.with_name(f".{whole.name}.{suffix}")
