"""How well two kinds of things that belong together find each other: recall among the first of a ranking."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tasks.arrays import Array

FIRST = (1, 5, 10)
DRAWS = 1000


@dataclass(frozen=True)
class Retrieval:
    """R@k in both directions, as shares; `low` and `high` are the bounds of 95 % by the bootstrap over what asks; `chance` is what
    a ranking by lot would reach."""

    sounds: int
    texts: int
    text_to_sound: Mapping[int, float]
    sound_to_text: Mapping[int, float]
    bounds: Mapping[str, tuple[float, float]]
    chance: Mapping[str, float]

    def row(self) -> dict[str, float]:
        """Flat, for a table."""
        named = {"text_to_sound": self.text_to_sound, "sound_to_text": self.sound_to_text}
        return {f"{name}_{k}": round(value, 4) for name, found in named.items() for k, value in found.items()}


def retrieval(sounds: Array, texts: Array, own: Sequence[int], *, seed: int = 0) -> Retrieval:
    """Of vectors (sounds, size) and (texts, size), none of which need be of unit length.

    A text finds one of its sounds, a sound its text, among the first k by the cosine.

    Args:
        own: the number of each sound's text.
    """
    sounds = sounds / np.linalg.norm(sounds, axis=1, keepdims=True)
    texts = texts / np.linalg.norm(texts, axis=1, keepdims=True)
    near = sounds @ texts.T
    mine = np.arange(len(texts))[None] == np.asarray(own)[:, None]
    ranks = {"text_to_sound": _rank(near.T, mine.T), "sound_to_text": _rank(near, mine)}
    drawn = np.random.default_rng(seed)
    shares: dict[str, dict[int, float]] = {}
    bounds, chance = {}, {}
    for name, found in ranks.items():
        among, fitting = (
            (near.shape[0], mine.sum(axis=0)) if name == "text_to_sound" else (near.shape[1], mine.sum(axis=1))
        )
        shares[name] = {k: float((found < k).mean()) for k in FIRST}
        picks = found[drawn.integers(0, len(found), (DRAWS, len(found)))]
        for k in FIRST:
            low, high = np.quantile((picks < k).mean(axis=1), (0.025, 0.975))
            bounds[f"{name}_{k}"] = (float(low), float(high))
            chance[f"{name}_{k}"] = float(np.mean([_by_lot(among, int(n), k) for n in fitting]))
    return Retrieval(len(sounds), len(texts), shares["text_to_sound"], shares["sound_to_text"], bounds, chance)


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
