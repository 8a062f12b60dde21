"""`nightscribe train captions`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click

from nightscribe.cli import print_json
from nightscribe.common import json_option, settings_from
from nightscribe.progress import counting


@click.command("captions")
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The table to write (TSV).")
@click.option("--sounds", required=True, help="A model of sounds, which says what is to be heard (folder or hub id).")
@click.option("--writer", required=True, help="A model that writes text (folder or hub id).")
@click.option("--path-column", default="path", show_default=True, help="Column of the files, relative to MANIFEST.")
@click.option("--caption-column", default="caption", show_default=True, help="Column of what people wrote.")
@json_option
def command(
    manifest: Path, out: Path, sounds: str, writer: str, path_column: str, caption_column: str, as_json: bool
) -> int:
    """Make the captions of MANIFEST (CSV, TSV or Parquet of path and caption) richer.

    A sound model says what is to be heard, of the labels of the setting `sound_events`; a text model makes a sentence of that and of
    the caption. It stands in a column of its own, `enriched`: nobody takes it for what people wrote.

    \b
    Example:
      nightscribe train captions sounds.tsv --sounds models/sounds/best --writer HuggingFaceTB/SmolLM2-360M-Instruct --out rich.tsv
      nightscribe train sounds rich.tsv --caption-column caption --caption-column enriched --out models/more
    """
    from tasks.models.pins import from_hub
    from tasks.sounds.encoder import load_sound_encoder
    from tasks.stages.sound_events.options import LABELS, SoundEventsSettings
    from tasks.training.sounds.captions import enrich, load_writer

    settings = settings_from()
    settings.scratch.mkdir(parents=True, exist_ok=True)
    pinned = from_hub(sounds).get("revision")
    encoder = load_sound_encoder(sounds, revision=pinned, device=settings.device, precision=settings.precision)
    with (
        tempfile.TemporaryDirectory(prefix="run-captions-", dir=settings.scratch) as scratch,
        counting("captions") as show,
    ):
        done = enrich(
            manifest,
            out,
            encoder=encoder,
            writer=load_writer(writer, device=settings.device),
            labels=settings.of(SoundEventsSettings).labels or LABELS,
            scratch=Path(scratch),
            settings=settings,
            path_column=path_column,
            caption_column=caption_column,
            on_sound=show,
        )
    for problem in done["problems"]:
        print(f"Left out: {problem}", file=sys.stderr)
    if as_json:
        print_json(done)
    else:
        print(f"{done['enriched']} of {done['sounds']} captions have a fuller one beside them: {out}")
    return 0
