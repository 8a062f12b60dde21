"""`nightscribe evaluate pictures`."""

from __future__ import annotations

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


@click.command("pictures")
@shared
@path_option
@click.option(
    "--changes",
    type=click.Path(path_type=Path),
    help="Table of path, plus, minus and wanted: what is found with a word added and one taken away.",
)
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
    changes: Path | None,
) -> int:
    """How often a picture is found by its text and a text by its picture, on MANIFEST (CSV, TSV or Parquet of path and text).

    Recall among the first 1, 5 and 10 in both directions with intervals, beside chance.

    \b
    Example:
      nightscribe evaluate pictures test.tsv --text-column caption --models models/frames/best
    """
    from tasks.evaluation.captions import read_captions
    from tasks.evaluation.manifest import Problems, drawn
    from tasks.evaluation.pictures import evaluate_pictures, read_changes
    from tasks.models.catalog import find_set
    from tasks.pictures.encoder import load_picture_encoder

    settings = settings_from(lake=lake, models=models)
    problems = Problems()
    chosen = find_set(settings)
    name, revision = of_role(chosen, "pictures")
    card_file = card_of(Path(name)) if card else None
    encoder = load_picture_encoder(name, revision=revision, device=settings.device, precision=settings.precision)
    rows = drawn(read_captions(manifest, problems, path_column=path_column, caption_columns=[text_column]), limit)
    asked = read_changes(changes, problems) if changes else []
    with counting("pictures") as show:
        found = evaluate_pictures(encoder, rows, asked, problems, lambda done: show(done, len(rows)))
    found |= {"models": {"set": chosen.name, "pictures": name}}
    tell(problems)
    keep("pictures", found, manifest, settings, out, as_json)
    if card_file and card:
        more = ["--changes", changes.name] if changes else []
        given = [manifest.name, "--text-column", text_column, *more, *limited(limit)]
        write_into_card(card_file, card, "pictures", found, given)
    return 0
