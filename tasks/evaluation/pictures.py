"""How well a model of pictures and texts finds one by the other, and what is found when words are added and taken away."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tasks.arrays import Array
from tasks.errors import Misconfigured
from tasks.evaluation.captions import Captioned, numbered, opens
from tasks.evaluation.manifest import Problems, read_manifest, strings
from tasks.evaluation.retrieval import retrieval
from tasks.evaluation.retrieval import table as figures
from tasks.pictures.encoder import PictureEncoder

TOGETHER = 64


@dataclass(frozen=True)
class Change:
    """The picture in a file with a word added and one taken away, and the caption of what is then to be found first."""

    path: Path
    plus: str
    minus: str
    wanted: str


def read_changes(manifest: Path, problems: Problems) -> list[Change]:
    """The rows of a table with the columns path, plus, minus and wanted.

    Raises:
        Misconfigured: it cannot be read.
    """
    columns = ("path", "plus", "minus", "wanted")
    table = read_manifest(manifest, *columns, problems=problems)
    rows = zip(*(strings(table, column) for column in columns), strict=True)
    return [Change(manifest.parent / path, *words) for path, *words in rows]


def evaluate_pictures(
    encoder: PictureEncoder,
    pictures: Sequence[Captioned],
    changes: Sequence[Change],
    problems: Problems,
    on_picture: Callable[[int], None] = lambda done: None,
) -> dict[str, Any]:
    """R@1, R@5 and R@10 in both directions, beside what chance gives; pictures with the same caption have one text. `changes` is the
    share of changes that find a picture of what is wanted first, among all pictures but the changed one.

    Raises:
        Misconfigured: none of the pictures can be read.
    """
    kept: list[Captioned] = []
    rows: list[Array] = []
    for start in range(0, len(pictures), TOGETHER):
        some = [one for one in pictures[start : start + TOGETHER] if opens(one.path, problems)]
        if some:
            rows.append(encoder.pictures([one.path for one in some]))
            kept += some
        on_picture(min(start + TOGETHER, len(pictures)))
    if not kept:
        raise Misconfigured("None of the pictures can be read.", next="See that the paths of the manifest are right.")
    vectors = np.concatenate(rows)
    texts, own = numbered(kept)
    found = retrieval(vectors, encoder.texts(texts), own, kind="picture")
    report = {"n": len(kept), "texts": len(texts), "groups": {}, **found.report()}
    return report | ({"changes": _changed(encoder, vectors, kept, changes, problems)} if changes else {})


def _changed(
    encoder: PictureEncoder, vectors: Array, kept: Sequence[Captioned], changes: Sequence[Change], problems: Problems
) -> dict[str, Any]:
    """By the arithmetic of vectors, as a search does it (`tasks/search/near.py`)."""
    where = {one.path: number for number, one in enumerate(kept)}
    asked = [one for one in changes if one.path in where]
    for one in changes:
        if one.path not in where:
            problems.add("a change of a picture that is not judged", str(one.path))
    words = list(dict.fromkeys(word for one in asked for word in (one.plus, one.minus)))
    texts = dict(zip(words, encoder.texts(words), strict=True))
    right: list[bool] = []
    chance: list[float] = []
    for one in asked:
        near = vectors @ (vectors[where[one.path]] + texts[one.plus] - texts[one.minus])
        near[where[one.path]] = -np.inf
        fitting = np.array([one.wanted in other.captions for other in kept])
        right.append(bool(fitting[int(near.argmax())]))
        chance.append(float(fitting.sum() / max(1, len(kept) - 1)))
    return {
        "n": len(asked),
        "first": sum(right) / len(asked) if asked else 0.0,
        "chance": sum(chance) / len(asked) if asked else 0.0,
    }


def table(report: Mapping[str, Any]) -> str:
    """The figures as Markdown."""
    lines = figures(report, "picture")
    if changed := report.get("changes"):
        lines += [
            "",
            f"With one word added and one taken away, {changed['first']:.1%} of {changed['n']} pictures find first what is wanted; "
            f"by chance {changed['chance']:.1%} would.",
        ]
    return "\n".join(lines)
