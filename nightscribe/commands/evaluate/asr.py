"""`nightscribe evaluate asr`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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


@click.command("asr")
@shared
@path_option
@click.option("--group-by", multiple=True, metavar="COLUMN", help="Figures for each value too; may be repeated.")
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
    group_by: tuple[str, ...],
) -> int:
    """Word and character error on the clips of MANIFEST (CSV, TSV or Parquet of path and text).

    The clips are transcribed as `index` does it, greedily and with the beam search. Errors are summed over the set, after
    a named normalisation and without any; intervals are by bootstrap over clips. A row for the set and for each group
    goes into the lake's table `evaluations`.

    \b
    Example:
      nightscribe evaluate asr heldout/manifest.tsv --models english --group-by speaker
    """
    from tasks.evaluation.asr import report
    from tasks.models.catalog import find_set

    settings = settings_from(lake=lake, models=models)
    chosen = find_set(settings)
    card_file = card_of(Path(chosen.acoustic.path)) if card else None
    columns: dict[str, Any] = {"path_column": path_column, "text_column": text_column, "group_by": group_by}
    with heard_clips(manifest, chosen, settings, limit, columns) as (heard, _):
        found = report(heard, group_by, chosen, settings)
    if out:
        _write_clips(out, heard, group_by)
    given = [*(part for column in group_by for part in ("--group-by", column)), *limited(limit)]
    keep("asr", found, manifest, settings, out, as_json)
    if card_file and card:
        write_into_card(card_file, card, "asr", found, [manifest.name, *given])
    return 0


def _write_clips(out: Path, heard: list[Any], group_by: tuple[str, ...]) -> None:
    import csv

    out.mkdir(parents=True, exist_ok=True)
    with (out / "clips.tsv").open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle, delimiter="\t")
        writer.writerow(("path", "text", "said", "greedy", *group_by))
        writer.writerows((h.clip.path, h.clip.text, h.said, h.greedy, *h.clip.groups) for h in heard)
