"""`nightscribe evaluate search`."""

from __future__ import annotations

from pathlib import Path

import click

from nightscribe.commands.evaluate.common import (
    card_of,
    heard_clips,
    keep,
    limited,
    path_option,
    shared,
    write_into_card,
)
from nightscribe.common import settings_from


@click.command("search")
@shared
@path_option
@click.option("--questions", type=click.IntRange(1), default=200, show_default=True, help="At most so many.")
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
    questions: int,
) -> int:
    """Whether a search finds the recordings of MANIFEST (CSV, TSV or Parquet of path and text) by words said in them.

    Questions of two words that name one recording are drawn from the true texts and asked of the recognised ones: as
    typed, with stems, with typos forgiven. The share of questions whose recording is among the first 1, 3 and 10.

    \b
    Example:
      nightscribe evaluate search heldout/manifest.tsv --models english
    """
    from tasks.evaluation.finding import report
    from tasks.models.catalog import find_set

    settings = settings_from(lake=lake, models=models)
    chosen = find_set(settings)
    card_file = card_of(Path(chosen.acoustic.path)) if card else None
    columns = {"path_column": path_column, "text_column": text_column}
    with heard_clips(manifest, chosen, settings, limit, columns) as (heard, folder):
        found = report(heard, chosen, settings, folder, questions)
    given = [*(["--questions", str(questions)] if questions != 200 else []), *limited(limit)]
    keep("search", found, manifest, settings, out, as_json)
    if card_file and card:
        write_into_card(card_file, card, "search", found, [manifest.name, *given])
    return 0
