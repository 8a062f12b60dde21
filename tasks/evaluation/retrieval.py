"""How well two kinds of things that belong together find each other: recall among the first of a ranking."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tasks.arrays import Array

FIRST = (1, 5, 10)
DRAWS = 1000


@dataclass(frozen=True)
class Retrieval:
    """R@k in both directions, as shares: `text_to_sound` and `sound_to_text`, where the others are sounds. `bounds` are those of
    95 % by the bootstrap over what asks; `chance` is what a ranking by lot would reach."""

    shares: Mapping[str, Mapping[int, float]]
    bounds: Mapping[str, tuple[float, float]]
    chance: Mapping[str, float]

    def row(self) -> dict[str, float]:
        """Flat, for a table."""
        return {f"{name}_{k}": round(value, 4) for name, found in self.shares.items() for k, value in found.items()}

    def report(self) -> dict[str, object]:
        """As a report has it."""
        return {**self.shares, "bounds": self.bounds, "chance": self.chance}


def retrieval(others: Array, texts: Array, own: Sequence[Collection[int]], *, kind: str, seed: int = 0) -> Retrieval:
    """Of vectors (others, size) and (texts, size), none of which need be of unit length.

    A text finds one of its others, one of them one of its texts, among the first k by the cosine.

    Args:
        own: the numbers of each other's texts.
        kind: what the others are: "sound".
    """
    others = others / np.linalg.norm(others, axis=1, keepdims=True)
    texts = texts / np.linalg.norm(texts, axis=1, keepdims=True)
    near = others @ texts.T
    mine = np.zeros(near.shape, bool)
    for number, fitting in enumerate(own):
        mine[number, list(fitting)] = True
    forth, back = names_of(kind)
    ranks = {forth: _rank(near.T, mine.T), back: _rank(near, mine)}
    drawn = np.random.default_rng(seed)
    shares: dict[str, dict[int, float]] = {}
    bounds, chance = {}, {}
    for name, found in ranks.items():
        among, fitting = (near.shape[0], mine.sum(axis=0)) if name == forth else (near.shape[1], mine.sum(axis=1))
        shares[name] = {k: float((found < k).mean()) for k in FIRST}
        picks = found[drawn.integers(0, len(found), (DRAWS, len(found)))]
        for k in FIRST:
            low, high = np.quantile((picks < k).mean(axis=1), (0.025, 0.975))
            bounds[f"{name}_{k}"] = (float(low), float(high))
            chance[f"{name}_{k}"] = float(np.mean([_by_lot(among, int(n), k) for n in fitting]))
    return Retrieval(shares, bounds, chance)


def names_of(kind: str) -> tuple[str, str]:
    """What both directions are called."""
    return f"text_to_{kind}", f"{kind}_to_text"


def table(report: Mapping[str, Any], kind: str) -> list[str]:
    """The figures of a report as lines of Markdown."""
    lines = [
        f"| {report['n']} {kind}s, {report['texts']} texts | {' | '.join(f'R@{k}' for k in FIRST)} | chance, R@10 |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, label in zip(names_of(kind), (f"a {kind} for a text", f"a text for a {kind}"), strict=True):
        shares = {int(k): share for k, share in report[name].items()}
        cells = []
        for k in FIRST:
            low, high = report["bounds"][f"{name}_{k}"]
            cells.append(f"{shares[k]:.1%} ({low:.0%} to {high:.0%})")
        lines.append(f"| {label} | {' | '.join(cells)} | {report['chance'][f'{name}_10']:.1%} |")
    return lines


def _rank(near: Array, mine: Array) -> Array:
    """How many others are nearer than the nearest of its own, of each row; one that is as near counts as nearer."""
    best = np.where(mine, near, -np.inf).max(axis=1, keepdims=True)
    ranks: Array = ((near >= best) & ~mine).sum(axis=1)
    return ranks


def _by_lot(among: int, fitting: int, k: int) -> float:
    """The chance that one of `fitting` is among the first `k` of `among`."""
    missed = 1.0
    for n in range(min(k, among)):
        missed *= max(0, among - fitting - n) / (among - n)
    return 1 - missed
