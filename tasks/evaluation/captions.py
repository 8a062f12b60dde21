"""Files with captions, as a manifest lists them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tasks.evaluation.manifest import Problems, read_manifest, strings


@dataclass(frozen=True)
class Captioned:
    """A sound or a picture in a file, and what is to be heard or seen."""

    path: Path
    caption: str


def read_captions(manifest: Path, problems: Problems, *, path_column: str, text_column: str) -> list[Captioned]:
    """The rows of a manifest.

    Raises:
        Misconfigured: it cannot be read.
    """
    table = read_manifest(manifest, path_column, text_column, problems=problems)
    found = []
    for name, text in zip(strings(table, path_column), strings(table, text_column), strict=True):
        if text:
            found.append(Captioned(manifest.parent / name, text))
        else:
            problems.add("without a caption", name)
    return found
