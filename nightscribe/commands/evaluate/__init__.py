"""`nightscribe evaluate`: one module for each of its commands."""

from __future__ import annotations

import click

from nightscribe.cli import LazyGroup

COMMANDS = {
    "asr": "Word and character error of a speech model.",
    "search": "Whether a search finds recordings by what is said in them.",
    "topics": "Accuracy of a topic classifier.",
    "sounds": "Whether sounds and texts find each other.",
    "pictures": "Whether pictures and texts find each other.",
}


@click.group("evaluate", cls=LazyGroup, package="nightscribe.commands.evaluate", named=COMMANDS)
def command() -> None:
    """How good a model is, on clips or texts whose truth is known.

    \b
    Example:
      nightscribe evaluate asr heldout/manifest.tsv --group-by speaker
      nightscribe evaluate topics news.csv --models demo
      nightscribe evaluate search heldout/manifest.tsv
      nightscribe evaluate sounds heldout/sounds.tsv --models models/sounds/best
      nightscribe evaluate pictures heldout/pictures.tsv --models models/frames/best
    """
