"""`nightscribe train pictures`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click

from nightscribe.cli import print_json
from nightscribe.common import json_option
from nightscribe.progress import counting, recalled


@click.command("pictures")
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder of the run; its `best` is the model."
)
@click.option("--base", help="A dual encoder to go on from (folder or hub id); else a small CLIP is made.")
@click.option("--validation", type=click.Path(path_type=Path), help="Pictures to judge by; else a share is kept back.")
@click.option("--path-column", default="path", show_default=True, help="Column of the files, relative to MANIFEST.")
@click.option(
    "--caption-column",
    "caption_columns",
    multiple=True,
    default=("caption",),
    show_default=True,
    help="Column of what is to be seen; repeated, one of them is drawn each time.",
)
@click.option("--side", type=click.IntRange(min=16), default=224, show_default=True, help="Pixels; made square.")
@click.option("--patch", type=click.IntRange(min=4), default=32, show_default=True, help="Pixels of a patch's side.")
@click.option("--hidden", type=click.IntRange(min=64), default=512, show_default=True, help="Width for pictures.")
@click.option("--layers", type=click.IntRange(min=1), default=8, show_default=True, help="Blocks for pictures.")
@click.option("--text-hidden", type=click.IntRange(min=64), default=256, show_default=True, help="Width for texts.")
@click.option("--text-layers", type=click.IntRange(min=1), default=4, show_default=True, help="Blocks for texts.")
@click.option("--projection", type=click.IntRange(min=16), default=256, show_default=True, help="Size of a vector.")
@click.option("--learning-rate", type=float, default=1e-4, show_default=True, help="After the warm-up.")
@click.option("--warmup-steps", type=click.IntRange(min=0), default=500, show_default=True, help="Linear.")
@click.option("--max-steps", type=click.IntRange(min=1), default=10_000, show_default=True, help="Until here.")
@click.option("--batch-size", type=click.IntRange(min=2), default=64, show_default=True, help="Pictures in a batch.")
@click.option("--validate-every", type=click.IntRange(min=1), default=500, show_default=True, help="Steps.")
@click.option("--augment/--no-augment", default=True, show_default=True, help="Cut, brightness, contrast.")
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
    side: int,
    patch: int,
    hidden: int,
    layers: int,
    text_hidden: int,
    text_layers: int,
    projection: int,
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
    """Train a model of pictures and texts on MANIFEST (CSV, TSV or Parquet of path and caption).

    Pictures and captions that belong together come near each other: by the contrast within a batch, as CLIP and ALIGN learnt, or
    where BASE judges each pair alone (SigLIP), as that did. OUT/best is for a set's `pictures`. The same command goes on after an
    interruption.

    \b
    Example:
      nightscribe train pictures frames.tsv --base google/siglip2-base-patch16-224 --learning-rate 1e-5 --out models/frames
    """
    from tasks.training.pictures.fit import PictureShape, fit_pictures
    from tasks.training.pictures.trainer import PictureTraining

    options = PictureTraining(
        learning_rate=learning_rate,
        warmup_steps=warmup_steps,
        max_steps=max_steps,
        batch_size=batch_size,
        validate_every=validate_every,
        augment=augment,
        half=half,
        seed=seed,
    )
    with counting("training") as training:
        summary = fit_pictures(
            manifest,
            out,
            options=options,
            shape=PictureShape(side, patch, hidden // 64 * 64, layers, text_hidden // 64 * 64, text_layers, projection),
            base=base,
            validation=validation,
            path_column=path_column,
            caption_columns=caption_columns,
            command=shlex.join(["nightscribe", *sys.argv[1:]]),
            on_progress=recalled(training, "picture", max_steps),
        )
    for problem in summary["problems"]:
        print(f"Left out: {problem}", file=sys.stderr)
    if as_json:
        print_json(summary)
    else:
        kept = summary["kept"]
        of_texts, of_pictures = kept["text_to_picture_10"], kept["picture_to_text_10"]
        print(f"R@10 {of_texts:.1%} of texts, {of_pictures:.1%} of pictures: {out / 'best'}")
    return 0
