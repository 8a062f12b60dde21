"""The table of FLAP (Yeh et al. 2023) at the size of the demo sound model: what dropping patches costs and saves, with and without
the reconstruction of what was dropped.

    python -m data.recipes.flap_table TRAIN TEST OUT [--steps 800] [--card README]

TRAIN and TEST are those of `python -m data.recipes.sounds_demo`. Each row is a run of `nightscribe train sounds` in a folder of OUT,
with the settings that `sounds_demo` names but for the steps and what the row says, judged by the first caption of each sound as
`nightscribe evaluate sounds` does, with the model of its last step: which of its steps was best is not asked of the sounds that
judge it. Rows that are finished are not trained again. With `--card`, the table is put into a model's card.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from nightscribe.bench.table import machine
from tasks.evaluation.captions import read_captions
from tasks.evaluation.cards import with_evaluation
from tasks.evaluation.flops import counted
from tasks.evaluation.manifest import Problems
from tasks.evaluation.sounds import evaluate_sounds
from tasks.machine.folders import write_whole
from tasks.models.flap import FlapModel, register
from tasks.settings import Settings
from tasks.sounds.encoder import load_sound_encoder
from tasks.training.sounds.fit import SoundShape, fit_sounds
from tasks.training.sounds.masks import kept
from tasks.training.sounds.options import Masking, SoundTraining
from tasks.training.sounds.trainer import Both

SHAPE = SoundShape(hidden=128, layers=4, seconds=5.12, projection=128, text="scratch")
OPTIONS = SoundTraining(learning_rate=1e-3, warmup_steps=100, half=True)
CAPTIONS = ("caption", "bare", "heard", "sentence")
NAME = "FLAP's table"


@dataclass(frozen=True)
class Row:
    """Which patches are dropped, and the weight of their reconstruction."""

    masking: Masking
    reconstruction: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.masking}{'-reconstruction' if self.reconstruction else ''}"


ROWS = [Row("none"), Row("1d"), Row("1d", 1.0), Row("2d"), Row("2d", 1.0)]


def flops(folder: Path, options: SoundTraining) -> tuple[int, int]:
    """Floating-point operations of the encoder of sounds over one view of a sound, and of all that a step does forward with a sound:
    each view of it, and the reconstruction."""
    register()
    model = FlapModel.from_pretrained(folder, dtype=torch.float32, trust_remote_code=False, local_files_only=True)
    both, config = Both(model, options), model.config
    features, texts = torch.zeros(1, config.frames, config.num_mel_bins), torch.zeros(1, config.projection_dim)
    seen, patches = kept(options, 1, *config.grid), model.sounds.patches(features)

    def step() -> None:
        for _ in range(options.views):
            states = model.sounds(features, seen)
            if both.reconstruction is not None and seen is not None:
                both.reconstruction(states, seen, texts, patches)

    return counted(lambda: model.sounds(features, seen)), counted(step)


def measured(row: Row, train: Path, test: Path, out: Path, steps: int) -> dict[str, Any]:
    """One row: trained, or gone on with, and judged."""
    options = replace(
        OPTIONS, masking=row.masking, reconstruction=row.reconstruction, max_steps=steps, validate_every=steps
    )
    folder = out / row.name
    folder.mkdir(parents=True, exist_ok=True)
    (out / "clips").mkdir(exist_ok=True)
    if not (folder / "clips").is_symlink():  # decoded once for all rows
        (folder / "clips").symlink_to(os.path.relpath(out / "clips", folder))
    fit_sounds(train, folder, options=options, shape=SHAPE, validation=test, caption_columns=CAPTIONS)
    settings, problems = Settings(scratch_free_gb=0.0), Problems()
    encoder = load_sound_encoder(str(folder / "best"), revision=None, device="cpu", precision="fp32")
    judged = read_captions(test, problems, path_column="path", caption_columns=CAPTIONS[:1])
    with tempfile.TemporaryDirectory() as scratch:
        found = evaluate_sounds(encoder, judged, Path(scratch), settings, problems)
    view, step = flops(folder / "best", options)
    return {**found, "view_gflops": view / 1e9, "step_gflops": step / 1e9}


def table(rows: Mapping[Row, Mapping[str, Any]], steps: int) -> str:
    """Markdown."""
    whole = next(iter(rows.values()))
    wanted = [("text_to_sound", 1), ("text_to_sound", 5), ("text_to_sound", 10), ("sound_to_text", 10)]
    lines = [
        "| patches dropped | reconstruction | text to sound: R@1 | R@5 | R@10 | sound to text: R@10 | GFLOPs of a view "
        "| of a sound in a step |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row, found in rows.items():
        bounds = [found["bounds"][f"{way}_{k}"] for way, k in wanted]
        cells = [
            f"{found[way][k]:.1%} ({low:.0%} to {high:.0%})"
            for (way, k), (low, high) in zip(wanted, bounds, strict=True)
        ]
        cells += [f"{found[cost]:.2f} ({found[cost] / whole[cost]:.2f})" for cost in ("view_gflops", "step_gflops")]
        lines.append("| " + " | ".join([row.masking, "yes" if row.reconstruction else "no", *cells]) + " |")
    chance = ", ".join(f"{whole['chance'][f'{way}_{k}']:.0%}" for way, k in wanted)
    lines += [
        "",
        f"{whole['n']} sounds, {whole['texts']} texts; by chance {chance}; 95 % intervals over the sounds, one run a row. Where "
        "patches are dropped, a step hears each sound twice.",
        "",
        f"`python -m data.recipes.flap_table TRAIN TEST OUT --steps {steps}`; {machine()}.",
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("train", type=Path)
    parser.add_argument("test", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--card", type=Path)
    options = parser.parse_args()
    rows = {}
    for row in ROWS:
        rows[row] = measured(row, options.train, options.test, options.out, options.steps)
        print(row.name, rows[row], flush=True)
    made = table(rows, options.steps)
    print(made)
    if options.card:
        write_whole(options.card, with_evaluation(options.card.read_text(encoding="utf-8"), NAME, made))


if __name__ == "__main__":
    main()
