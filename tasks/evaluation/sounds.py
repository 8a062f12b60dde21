"""How well a model of sounds and texts finds one by the other, and what a pass of its encoder of sounds costs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tasks.arrays import Array
from tasks.errors import Misconfigured
from tasks.evaluation.captions import Captioned, numbered
from tasks.evaluation.flops import counted
from tasks.evaluation.manifest import Problems
from tasks.evaluation.retrieval import retrieval
from tasks.evaluation.retrieval import table as figures
from tasks.media import clip_sound
from tasks.settings import Settings
from tasks.sounds.encoder import SoundEncoder

TIMED = 8  # sounds


def evaluate_sounds(
    encoder: SoundEncoder,
    sounds: Sequence[Captioned],
    scratch: Path,
    settings: Settings,
    problems: Problems,
    on_sound: Callable[[int], None] = lambda done: None,
) -> dict[str, Any]:
    """R@1, R@5 and R@10 in both directions, beside what chance gives; sounds with the same caption have one text. Of a sound that
    is longer than the model takes, the beginning is judged.

    Raises:
        Misconfigured: none of the sounds can be read.
    """
    vectors: list[Array] = []
    kept: list[Captioned] = []
    heard: Array | None = None
    for done, one in enumerate(sounds, 1):
        target = scratch / "sound.pcm"
        audio = clip_sound(one.path, target, settings, rate=encoder.rate)
        if isinstance(audio, str) or not audio.samples:
            problems.add(audio if isinstance(audio, str) else "no sound", str(one.path))
        else:
            pcm = np.fromfile(target, np.int16, count=int(encoder.piece_s * encoder.rate))
            heard = pcm.astype(np.float32) / np.float32(32768)
            vectors.append(encoder.sounds([heard])[0])
            kept.append(one)
        on_sound(done)
    if heard is None:
        raise Misconfigured("None of the sounds can be read.", next="See that the paths of the manifest are right.")
    texts, own = numbered(kept)
    found = retrieval(np.stack(vectors), encoder.texts(texts), own, kind="sound")
    return {
        "n": len(kept),
        "texts": len(texts),
        "groups": {},
        **found.report(),
        "gflops": gflops(encoder, heard),
        "seconds": seconds(encoder, heard),
        "of_sound_s": encoder.piece_s,
    }


def gflops(encoder: SoundEncoder, piece: Array) -> float:
    """Billions of floating-point operations of the model over one piece, of which the features are there already."""
    features = encoder.features([piece])
    with torch.inference_mode():
        return counted(lambda: encoder.model.get_audio_features(**features)) / 1e9


def seconds(encoder: SoundEncoder, sound: Array) -> float:
    """Of a pass over one sound, features included: the median of some."""
    spent = []
    for _ in range(TIMED):
        started = time.perf_counter()
        encoder.forward([sound])
        if encoder.device.type == "cuda":
            torch.cuda.synchronize(encoder.device)
        spent.append(time.perf_counter() - started)
    return float(np.median(spent))


def table(report: Mapping[str, Any]) -> str:
    """The figures as Markdown."""
    cost = f"A pass over {report['of_sound_s']:g} s: {report['gflops']:.2f} GFLOPs."
    return "\n".join([*figures(report, "sound"), "", cost])
