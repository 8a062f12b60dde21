"""Which commit of a hub repository is used: downloads are pinned, so that a model never changes by itself.

A catalogue may name a commit itself (`acoustic_revision` and so on). For all others, `nightscribe models fetch` looks up the
newest commit once and notes it in a file beside the catalogue; from then on only that commit is downloaded and loaded,
on every machine that has the file.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
import uuid
from pathlib import Path
from typing import Any

from tasks.errors import Misconfigured, ModelNotAvailable, first_line
from tasks.settings import Settings

COMMIT = re.compile(r"[0-9a-f]{40}")


def lock_of(catalog: Path) -> Path:
    """The file of pins beside a catalogue."""
    return catalog.with_suffix(".lock.toml")


def read_pins(catalog: Path) -> dict[str, str]:
    """Commits by hub id.

    Raises:
        Misconfigured: the file is damaged.
    """
    path = lock_of(catalog)
    try:
        pins: dict[str, str] = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Misconfigured(
            f"{path} is damaged: {error}", next="Mend or remove it, then fetch models again."
        ) from error
    for name, commit in pins.items():
        check_commit(str(commit), f"{name} in {path}")
    return pins


def check_commit(revision: str, where: str) -> None:
    """Raise Misconfigured unless it is a whole commit: a branch or a tag may be another one tomorrow."""
    if not COMMIT.fullmatch(revision):
        raise Misconfigured(
            f"The revision {revision!r} of {where} is no commit.", next="Write all 40 hex digits of a commit."
        )


def newest_commit(name: str) -> str:
    """The commit that the hub has now.

    Raises:
        ModelNotAvailable: the hub did not answer, or has no such model.
    """
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        commit = HfApi().model_info(name).sha
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise ModelNotAvailable(
            f"{name} could not be looked up: {first_line(error)}",
            next="Run this where the hub can be reached, then copy the cache folder (HF_HOME) here.",
        ) from error
    if commit is None:
        raise ModelNotAvailable(f"The hub names no commit of {name}.", next="Name one in the catalogue.")
    return str(commit)


def write_pin(catalog: Path, name: str, commit: str) -> None:
    """Note a commit, in one step.

    Raises:
        Misconfigured: the folder of the catalogue cannot be written.
    """
    path = lock_of(catalog)
    pins = read_pins(catalog) | {name: commit}
    lines = ["# Commits of hub models, noted when they were first fetched. To be kept with the catalogue."]
    lines += [f"{json.dumps(key)} = {json.dumps(value)}" for key, value in sorted(pins.items())]
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        part.write_text("\n".join(lines) + "\n", encoding="utf-8")
        os.replace(part, path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise Misconfigured(
            f"{path} cannot be written: {error.strerror}",
            next=f"Pin it in the catalogue yourself: its revision is {commit}.",
        ) from error


def from_hub(name: str) -> dict[str, Any]:
    """How a base model of a training is loaded: a folder as it is, a hub model by its pin and without a network.

    Raises:
        ModelNotAvailable: it was never fetched.
    """
    if Path(name).is_dir():
        return {}
    commit = read_pins(Settings().catalog).get(name)
    if commit is None:
        raise ModelNotAvailable(
            f"The model {name} is neither a folder nor fetched.", next=f"nightscribe models fetch {name}"
        )
    return {"revision": commit, "local_files_only": True}
