"""`nightscribe train`: one module for each of its commands."""

from __future__ import annotations

import click

from nightscribe.cli import LazyGroup

COMMANDS = {
    "asr": "Fine-tune a speech model, or train a small one from scratch.",
    "average": "Make one speech model of several: the mean of their weights.",
    "lm": "Make a language model for the beam search from text.",
    "topics": "Train a topic classifier on labelled texts.",
    "sounds": "Train a model that puts sounds and texts into one space.",
    "captions": "Make captions of sounds richer, in a column of their own.",
    "pictures": "Train a model that puts pictures and texts into one space.",
    "corpus": "Make labelled speech from text, with synthetic voices.",
}


@click.group("train", cls=LazyGroup, package="nightscribe.commands.train", named=COMMANDS)
def command() -> None:
    """Fit the models to an archive. What is made lies in a folder that --models takes.

    \b
    Example:
      nightscribe train asr clips.tsv --base facebook/wav2vec2-base --out models/ours
      nightscribe train lm books.txt --models models/ours/best --bucket ~/videos
      nightscribe train topics news.csv --base bert-base-uncased --out models/topics
      nightscribe train sounds sounds.tsv --out models/sounds
      nightscribe train pictures frames.tsv --base openai/clip-vit-base-patch32 --out models/frames
    """
