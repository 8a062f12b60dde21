"""`nightscribe evaluate sounds`."""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from nightscribe.commands.evaluate.common import (
    card_of,
    keep,
    limited,
    of_role,
    path_option,
    shared,
    tell,
    write_into_card,
)
from nightscribe.common import settings_from
from nightscribe.progress import counting


@click.command("sounds")
@shared
@path_option
def command(
    manifest: Path,
    lake: str | None,
    models: str | None,
    text_column: str,
    limit: int | None,
    out: Path | None,
    card: str | None,
    as_json: bool,
    path_column: str,
) -> int:
    """How often a sound is found by its text and a text by its sound, on MANIFEST (CSV, TSV or Parquet of path and text).

    Recall among the first 1, 5 and 10 in both directions with intervals, beside chance, and what a pass of the encoder of
    sounds costs.

    \b
    Example:
      nightscribe evaluate sounds test.tsv --text-column caption --models models/sounds/best
    """
    from tasks.evaluation.captions import read_captions
    from tasks.evaluation.manifest import Problems, drawn
    from tasks.evaluation.sounds import evaluate_sounds
    from tasks.models.catalog import find_set
    from tasks.sounds.encoder import load_sound_encoder

    settings = settings_from(lake=lake, models=models)
    problems = Problems()
    chosen = find_set(settings)
    name, revision = of_role(chosen, "sounds")
    card_file = card_of(Path(name)) if card else None
    encoder = load_sound_encoder(name, revision=revision, device=settings.device, precision=settings.precision)
    rows = drawn(read_captions(manifest, problems, path_column=path_column, caption_columns=[text_column]), limit)
    settings.scratch.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="run-evaluate-", dir=settings.scratch) as scratch,
        counting("sounds") as show,
    ):
        found = evaluate_sounds(encoder, rows, Path(scratch), settings, problems, lambda done: show(done, len(rows)))
    found |= {"models": {"set": chosen.name, "sounds": name}}
    tell(problems)
    keep("sounds", found, manifest, settings, out, as_json)
    if card_file and card:
        write_into_card(
            card_file, card, "sounds", found, [manifest.name, "--text-column", text_column, *limited(limit)]
        )
    return 0
