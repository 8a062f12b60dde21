"""`nightscribe evaluate topics`."""

from __future__ import annotations

from pathlib import Path

import click

from nightscribe.commands.evaluate.common import (
    card_of,
    keep,
    limited,
    of_role,
    shared,
    tell,
    write_into_card,
)
from nightscribe.common import settings_from


@click.command("topics")
@shared
@click.option("--label-column", default="label", show_default=True, help="Column of the true labels.")
@click.option("--train", type=click.Path(path_type=Path), help="Texts to train the linear baseline on.")
def command(
    manifest: Path,
    lake: str | None,
    models: str | None,
    text_column: str,
    limit: int | None,
    out: Path | None,
    card: str | None,
    as_json: bool,
    label_column: str,
    train: Path | None,
) -> int:
    """Accuracy, macro F1 and confusion on the texts of MANIFEST (CSV, TSV or Parquet of text and label).

    Texts are judged as written, as speech recognition gives them, and with one word in five wrong, beside TF-IDF with
    logistic regression in the same run.

    \b
    Example:
      nightscribe evaluate topics test.csv --train train.csv
    """
    from tasks.errors import Misconfigured
    from tasks.evaluation.manifest import Problems, drawn
    from tasks.evaluation.topics import evaluate_topics, read_texts
    from tasks.models.catalog import find_set
    from tasks.stages.recipes import recipes
    from tasks.text.topics import load_topics

    settings = settings_from(lake=lake, models=models)
    problems = Problems()
    columns = {"text_column": text_column, "label_column": label_column}
    pairs = drawn(read_texts(manifest, problems, **columns), limit)
    chosen = find_set(settings)
    name, revision = of_role(chosen, "topics")
    if not chosen.ref("topics") and not Path(name).is_dir():
        raise Misconfigured(f"The set {chosen.name} has no topic model.", next="Name another with --models.")
    card_file = card_of(Path(name)) if card else None
    model = load_topics(name, revision=revision, device=settings.device)
    trained = Problems()
    found = evaluate_topics(model, pairs, train=read_texts(train, trained, **columns) if train else ())
    found |= {"models": {"set": chosen.name, "topics": name}, "recipe": recipes(chosen, settings)["topics"]}
    tell(problems)
    tell(trained, "training texts, ")
    given = [*(["--train", train.name] if train else []), *limited(limit)]
    keep("topics", found, manifest, settings, out, as_json)
    if card_file and card:
        write_into_card(card_file, card, "topics", found, [manifest.name, *given])
    return 0
