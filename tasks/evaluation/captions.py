"""Files with captions, as a manifest lists them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from tasks.evaluation.manifest import Problems, read_manifest, strings


@dataclass(frozen=True)
class Captioned:
    """A sound or a picture in a file, and what is to be heard or seen, said in one way or several."""

    path: Path
    captions: tuple[str, ...]


def opens(path: Path, problems: Problems) -> bool:
    """Whether a picture can be read; what cannot is a problem."""
    try:
        with Image.open(path) as opened:
            opened.convert("RGB")
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        problems.add(f"no picture ({type(error).__name__})", str(path))
        return False
    return True


def read_captions(
    manifest: Path, problems: Problems, *, path_column: str, caption_columns: Sequence[str]
) -> list[Captioned]:
    """The files of a manifest. Rows of the same file are one with several captions; so are further columns.

    Raises:
        Misconfigured: it cannot be read.
    """
    table = read_manifest(manifest, path_column, *caption_columns, problems=problems)
    found: dict[str, dict[str, None]] = {}
    for name, *said in zip(strings(table, path_column), *(strings(table, one) for one in caption_columns), strict=True):
        texts = [text for text in said if text]
        if texts:
            found.setdefault(name, {}).update(dict.fromkeys(texts))
        else:
            problems.add("without a caption", name)
    return [Captioned(manifest.parent / name, tuple(said)) for name, said in found.items()]


def numbered(files: Sequence[Captioned]) -> tuple[list[str], list[list[int]]]:
    """All different captions, and of each file the numbers of its own."""
    numbers: dict[str, int] = {}
    own = [[numbers.setdefault(text, len(numbers)) for text in one.captions] for one in files]
    return list(numbers), own
