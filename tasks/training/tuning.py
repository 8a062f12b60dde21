"""Weights of the search with a language model: those with the fewest wrong words on a development set."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from tasks.errors import Misconfigured
from tasks.evaluation.asr import Clip, sounds, utterances_of
from tasks.evaluation.manifest import Problems
from tasks.evaluation.scores import normalised, summed, word_errors
from tasks.models.catalog import ATTRIBUTES, SEARCH, ModelSet
from tasks.records import Audio
from tasks.settings import Settings
from tasks.speech.pool import DecoderPool, gather
from tasks.stages.emissions.runner import acoustic_of
from tasks.stages.words.options import WordsSettings
from tasks.stages.words.search import UNKNOWN_SCORE, spec_of
from tasks.training.augment import change_speed

SPEEDS = (1.0, 0.92, 1.08)
WEIGHTS = (0.2, 0.35, 0.5, 0.6, 0.7, 0.8, 0.9, 1.2, 1.6)
BONUSES = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
PENALTIES = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0)


@dataclass(frozen=True)
class Tuned:
    """The best weight, bonus for a word and blank penalty, their word error at all speeds, on how many clips, and all that was
    tried: (weight, bonus, penalty, word error)."""

    lm_weight: float
    word_bonus: float
    blank_penalty: float
    wer: float
    clips: int
    tried: tuple[tuple[float, float, float, float], ...]


def tune(
    clips: Sequence[Clip],
    chosen: ModelSet,
    settings: Settings,
    scratch: Path,
    problems: Problems,
    on_point: Callable[[int, int], None] = lambda done, total: None,
) -> Tuned:
    """Search weight, bonus and penalty in turn, twice over; emissions are computed once.

    Clips are heard a little slower and faster as well: development sets are small, and what wins on one hearing of some
    hundred clips has mostly been lucky.

    Raises:
        Misconfigured: no clip could be heard.
    """
    model = acoustic_of(chosen, settings)
    good = sounds(clips, scratch, settings, problems)
    if not good:
        raise Misconfigured("No clip to tune on could be heard.", next="Look at what was left out.")
    heard = utterances_of(model, [at_speed(audio, speed) for speed in SPEEDS for _, audio in good], settings)
    true = [normalised(clip.text, chosen.spoken) for clip, _ in good] * len(SPEEDS)
    base = spec_of(chosen, settings, model)
    tried: dict[tuple[float, float, float], float] = {}
    total = 2 * (len(WEIGHTS) + len(BONUSES) + len(PENALTIES))

    def error(weight: float, bonus: float, penalty: float) -> float:
        if (weight, bonus, penalty) not in tried:
            spec = replace(base, lm_weight=weight, word_bonus=bonus, blank_penalty=penalty)
            futures = [pool.submit(utterances, spec) for utterances in heard]
            said = [" ".join(word.word for word in gather([future])) for future in futures]
            scores = [word_errors(t, normalised(s, chosen.spoken)) for t, s in zip(true, said, strict=True)]
            tried[weight, bonus, penalty] = summed(scores).rate
        on_point(len(tried), total)
        return tried[weight, bonus, penalty]

    weight, bonus, penalty = 0.5, 1.5, 0.0
    pool = DecoderPool(base, frame_ms=model.frame_ms, processes=settings.of(WordsSettings).decoders or os.cpu_count())
    try:
        for _ in range(2):
            weight = min(WEIGHTS, key=lambda w: error(w, bonus, penalty))
            bonus = min(BONUSES, key=lambda b: error(weight, b, penalty))
            penalty = min(PENALTIES, key=lambda p: error(weight, bonus, p))
    finally:
        pool.close()
    on_point(total, total)
    points = tuple((*point, wer) for point, wer in sorted(tried.items()))
    return Tuned(weight, bonus, penalty, error(weight, bonus, penalty), len(good), points)


def at_speed(audio: Audio, speed: float) -> Audio:
    """The sound `speed` times as fast, in a file beside its own."""
    if speed == 1.0:
        return audio
    changed = change_speed(np.fromfile(audio.path, np.int16).astype(np.float32), speed).round().astype(np.int16)
    path = f"{audio.path}.{speed:g}"
    changed.tofile(path)
    return replace(audio, path=path, samples=len(changed))


def write_weights(folder: Path, tuned: Tuned) -> None:
    """Keep them beside the language model: what pyctcdecode knows in the file that it keeps its own in."""
    weights = {"alpha": tuned.lm_weight, "beta": tuned.word_bonus}
    own = {**weights, "unk_score_offset": UNKNOWN_SCORE, "score_boundary": True}
    (folder / ATTRIBUTES).write_text(json.dumps(own) + "\n", encoding="utf-8")
    penalty = {"blank_penalty": tuned.blank_penalty}
    (folder / SEARCH).write_text(json.dumps(penalty) + "\n", encoding="utf-8")
