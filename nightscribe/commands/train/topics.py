"""`nightscribe train topics`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from nightscribe.cli import print_json
from nightscribe.common import json_option
from nightscribe.progress import counting


@click.command("topics")
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder of the run; its `best` is the model."
)
@click.option("--base", default="scratch", show_default=True, help="Checkpoint (folder or hub id), or `scratch`.")
@click.option("--validation", type=click.Path(path_type=Path), help="Texts to judge by; else a share is kept back.")
@click.option("--text-column", default="text", show_default=True, help="Column of the texts.")
@click.option("--label-column", default="label", show_default=True, help="Column of the labels.")
@click.option(
    "--text",
    "unlabelled",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Unlabelled text for the pretraining, from scratch; may be repeated.",
)
@click.option("--pretrain-steps", type=click.IntRange(min=0), default=3000, show_default=True, help="From scratch.")
@click.option("--max-tokens", type=click.IntRange(16, 512), default=512, show_default=True, help="Of a text.")
@click.option("--learning-rate", type=float, help="Default 1e-5; from scratch 3e-4.")
@click.option("--batch-size", type=click.IntRange(min=1), default=8, show_default=True, help="Texts in a batch.")
@click.option("--epochs", type=click.IntRange(min=1), default=4, show_default=True, help="Times through the texts.")
@click.option(
    "--noise", type=click.FloatRange(0, 0.6), default=0.2, show_default=True, help="Share of wrong words to expect."
)
@click.option(
    "--distil/--no-distil", default=None, help="Learn from TF-IDF with a linear model too; default from scratch."
)
@click.option("--seed", type=int, default=0, show_default=True, help="Another one, another run.")
@json_option
def command(
    manifest: Path,
    out: Path,
    base: str,
    validation: Path | None,
    text_column: str,
    label_column: str,
    unlabelled: tuple[Path, ...],
    pretrain_steps: int,
    max_tokens: int,
    learning_rate: float | None,
    batch_size: int,
    epochs: int,
    noise: float,
    distil: bool | None,
    seed: int,
    as_json: bool,
) -> int:
    """Train a topic classifier on MANIFEST (CSV, TSV or Parquet of text and label).

    It learns from texts as speech recognition gives them: lower case, no punctuation, numbers as words, some words wrong.
    The epoch with the best validation accuracy is kept in OUT/best. The same command goes on after an interruption.

    \b
    Example:
      nightscribe train topics news.csv --base bert-base-uncased --out models/topics
    """
    from tasks.evaluation.manifest import Problems
    from tasks.evaluation.topics import read_texts
    from tasks.training.fit import SCRATCH
    from tasks.training.fit_topics import fit_topics
    from tasks.training.topics import TopicTraining

    scratch, problems, judged = base == SCRATCH, Problems(), Problems()
    options = TopicTraining(
        max_tokens=max_tokens,
        min_tokens=min(64, max_tokens // 2),
        learning_rate=learning_rate or (3e-4 if scratch else 1e-5),
        batch_size=batch_size,
        epochs=epochs,
        noise=noise,
        distil=scratch if distil is None else distil,
        seed=seed,
    )
    columns = {"text_column": text_column, "label_column": label_column}
    with counting("pretraining") as reading, counting("training") as training:

        def show(step: int, total: int, loss: float, accuracy: float | None) -> None:
            if accuracy is not None:
                print(f"step {step}: loss {loss:.3f}, validation accuracy {accuracy:.1%}", file=sys.stderr, flush=True)
            training(step, total, f"loss {loss:.3f}")

        summary = fit_topics(
            read_texts(manifest, problems, **columns),
            out,
            manifest=manifest,
            base=base,
            options=options,
            problems=problems,
            validation=read_texts(validation, judged, **columns) if validation else (),
            unlabelled=unlabelled,
            pretrain_steps=pretrain_steps,
            on_pretrain=lambda step, loss: reading(step, pretrain_steps, f"loss {loss:.2f}"),
            on_progress=show,
        )
    for problem in [*summary["problems"], *(f"validation, {line}" for line in judged.lines())]:
        print(f"Left out: {problem}", file=sys.stderr)
    if as_json:
        print_json(summary)
    else:
        print(f"Best validation accuracy {summary['best_accuracy']:.1%}: {out / 'best'}")
    return 0
