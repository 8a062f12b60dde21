"""How well a model of sounds and texts finds one by the other, and what a pass of its encoder of sounds costs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from tasks.arrays import Array
from tasks.errors import Misconfigured
from tasks.evaluation.manifest import Problems, read_manifest, strings
from tasks.evaluation.retrieval import FIRST, retrieval
from tasks.media import clip_sound
from tasks.settings import Settings
from tasks.sounds.encoder import SoundEncoder

TIMED = 8  # sounds


@dataclass(frozen=True)
class Captioned:
    """A sound in a file, and what is to be heard."""

    path: Path
    caption: str


def read_sounds(manifest: Path, problems: Problems, *, path_column: str, text_column: str) -> list[Captioned]:
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
    vectors, captions = [], []
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
            captions.append(one.caption)
        on_sound(done)
    if heard is None:
        raise Misconfigured("None of the sounds can be read.", next="See that the paths of the manifest are right.")
    texts = list(dict.fromkeys(captions))
    found = retrieval(np.stack(vectors), encoder.texts(texts), [texts.index(text) for text in captions])
    return {
        "n": len(captions),
        "texts": len(texts),
        "groups": {},
        **{name: value for name, value in asdict(found).items() if name not in ("sounds", "texts")},
        "gflops": flops(encoder, heard) / 1e9,
        "seconds": seconds(encoder, heard),
        "of_sound_s": encoder.piece_s,
    }


def flops(encoder: SoundEncoder, sound: Array) -> int:
    """Floating-point operations of a pass over one sound, as torch counts them."""
    with FlopCounterMode(display=False) as counter:
        encoder.forward([sound])
    return int(counter.get_total_flops())


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
    lines = [
        f"| {report['n']} sounds, {report['texts']} texts | {' | '.join(f'R@{k}' for k in FIRST)} | chance, R@10 |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, label in (("text_to_sound", "a sound for a text"), ("sound_to_text", "a text for a sound")):
        shares = {int(k): share for k, share in report[name].items()}
        cells = []
        for k in FIRST:
            low, high = report["bounds"][f"{name}_{k}"]
            cells.append(f"{shares[k]:.1%} ({low:.0%} to {high:.0%})")
        lines.append(f"| {label} | {' | '.join(cells)} | {report['chance'][f'{name}_10']:.1%} |")
    lines += ["", f"A pass over {report['of_sound_s']:g} s: {report['gflops']:.2f} GFLOPs."]
    return "\n".join(lines)
