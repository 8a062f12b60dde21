"""`nightscribe train sounds`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Literal

import click

from nightscribe.cli import print_json
from nightscribe.common import json_option
from nightscribe.progress import counting, recalled


@click.command("sounds")
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder of the run; its `best` is the model."
)
@click.option("--base", help="A model that this command made, to go on from; else one is made.")
@click.option("--validation", type=click.Path(path_type=Path), help="Sounds to judge by; else a share is kept back.")
@click.option("--path-column", default="path", show_default=True, help="Column of the files, relative to MANIFEST.")
@click.option(
    "--caption-column",
    "caption_columns",
    multiple=True,
    default=("caption",),
    show_default=True,
    help="Column of what is to be heard; repeated, one of them is drawn each time.",
)
@click.option("--hidden", type=click.IntRange(min=64), default=768, show_default=True, help="Width, a multiple of 64.")
@click.option("--layers", type=click.IntRange(min=1), default=12, show_default=True, help="Blocks for sounds.")
@click.option("--seconds", type=click.FloatRange(min=0.5), default=10.24, show_default=True, help="Of a sound.")
@click.option("--projection", type=click.IntRange(min=16), default=512, show_default=True, help="Size of a vector.")
@click.option(
    "--text",
    default="FacebookAI/roberta-base",
    show_default=True,
    help="Encoder of texts (folder or hub id), or `scratch`: a small one with the words of the captions.",
)
@click.option("--text-layers", type=click.IntRange(min=1), help="Only so many of its blocks.")
@click.option(
    "--masking",
    type=click.Choice(["none", "1d", "2d"]),
    default="2d",
    show_default=True,
    help="Patches of the spectrogram that are dropped: any of them, or whole moments and whole bands.",
)
@click.option("--mask", type=click.FloatRange(0, 0.95), default=0.4, show_default=True, help="Share that 1d drops.")
@click.option("--mask-time", type=click.FloatRange(0, 0.95), default=0.2, show_default=True, help="Moments, with 2d.")
@click.option("--mask-bands", type=click.FloatRange(0, 0.95), default=0.2, show_default=True, help="Bands, with 2d.")
@click.option(
    "--reconstruction",
    type=click.FloatRange(min=0),
    default=1.0,
    show_default=True,
    help="Weight of the error in saying what was dropped; 0 leaves that out.",
)
@click.option("--learning-rate", type=float, default=1e-4, show_default=True, help="After the warm-up.")
@click.option("--warmup-steps", type=click.IntRange(min=0), default=500, show_default=True, help="Linear.")
@click.option("--max-steps", type=click.IntRange(min=1), default=10_000, show_default=True, help="Until here.")
@click.option("--batch-size", type=click.IntRange(min=2), default=64, show_default=True, help="Sounds in a batch.")
@click.option("--validate-every", type=click.IntRange(min=1), default=500, show_default=True, help="Steps.")
@click.option("--augment/--no-augment", default=True, show_default=True, help="Shifts, speed, noise, loudness.")
@click.option("--half", is_flag=True, help="Keep the model in fp16.")
@click.option("--seed", type=int, default=0, show_default=True, help="Another one, another run.")
@json_option
def command(
    manifest: Path,
    out: Path,
    base: str | None,
    validation: Path | None,
    path_column: str,
    caption_columns: tuple[str, ...],
    hidden: int,
    layers: int,
    seconds: float,
    projection: int,
    text: str,
    text_layers: int | None,
    masking: Literal["none", "1d", "2d"],
    mask: float,
    mask_time: float,
    mask_bands: float,
    reconstruction: float,
    learning_rate: float,
    warmup_steps: int,
    max_steps: int,
    batch_size: int,
    validate_every: int,
    augment: bool,
    half: bool,
    seed: int,
    as_json: bool,
) -> int:
    """Train a model of sounds and texts on MANIFEST (CSV, TSV or Parquet of path and caption), as FLAP does.

    Sounds and captions that belong together come near each other. Parts of a spectrogram are dropped before they cost
    anything, each sound is heard twice under masks of its own, and what was dropped is to be told from the rest and the caption.
    OUT/best is for a set's `sounds`. The same command goes on after an interruption.

    \b
    Example:
      nightscribe train sounds sounds.tsv --text scratch --hidden 192 --layers 6 --out models/sounds
    """
    from tasks.training.sounds.fit import SoundShape, fit_sounds
    from tasks.training.sounds.options import SoundTraining

    options = SoundTraining(
        masking=masking,
        mask=mask,
        mask_time=mask_time,
        mask_bands=mask_bands,
        reconstruction=reconstruction,
        learning_rate=learning_rate,
        warmup_steps=warmup_steps,
        max_steps=max_steps,
        batch_size=batch_size,
        validate_every=validate_every,
        augment=augment,
        half=half,
        seed=seed,
    )
    with counting("sounds") as decoding, counting("training") as training:
        summary = fit_sounds(
            manifest,
            out,
            options=options,
            shape=SoundShape(hidden // 64 * 64, layers, seconds, projection, text, text_layers),
            base=base,
            validation=validation,
            path_column=path_column,
            caption_columns=caption_columns,
            command=shlex.join(["nightscribe", *sys.argv[1:]]),
            on_sound=lambda done, total: decoding(done, total),
            on_progress=recalled(training, "sound", max_steps),
        )
    for problem in summary["problems"]:
        print(f"Left out: {problem}", file=sys.stderr)
    if as_json:
        print_json(summary)
    else:
        kept = summary["kept"]
        print(f"R@10 {kept['text_to_sound_10']:.1%} of texts, {kept['sound_to_text_10']:.1%} of sounds: {out / 'best'}")
    return 0
