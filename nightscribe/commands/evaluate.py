"""`nightscribe evaluate`."""

from __future__ import annotations

import contextlib
import shlex
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from nightscribe.cli import print_json
from nightscribe.common import json_option, lake_option, settings_from
from nightscribe.progress import counting


@click.group("evaluate")
def command() -> None:
    """How good a model is, on clips or texts whose truth is known.

    \b
    Example:
      nightscribe evaluate asr heldout/manifest.tsv --group-by speaker
      nightscribe evaluate topics news.csv --models demo
      nightscribe evaluate search heldout/manifest.tsv
      nightscribe evaluate sounds heldout/sounds.tsv --models models/sounds/best
    """


def _shared(function: Any) -> Any:
    for option in (
        json_option,
        click.option("--card", metavar="NAME", help="Write the figures into the model's card, under this name."),
        click.option("--out", type=click.Path(path_type=Path), help="Folder for the report, its table and a picture."),
        click.option("--limit", type=click.IntRange(min=1), help="Only so many rows, drawn once and for all."),
        click.option("--text-column", default="text", show_default=True, help="Column of the true texts."),
        click.option("--models", metavar="SET", help="Model set of the catalogue, or a folder."),
        lake_option,
        click.argument("manifest", type=click.Path(path_type=Path)),
    ):
        function = option(function)
    return function


@command.command("asr")
@_shared
@click.option("--path-column", default="path", show_default=True, help="Column of the files, relative to MANIFEST.")
@click.option("--group-by", multiple=True, metavar="COLUMN", help="Figures for each value too; may be repeated.")
def asr(
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
    card_file = _card(Path(chosen.acoustic.path)) if card else None
    columns: dict[str, Any] = {"path_column": path_column, "text_column": text_column, "group_by": group_by}
    with _heard(manifest, chosen, settings, limit, columns) as (heard, _):
        found = report(heard, group_by, chosen, settings)
    if out:
        _write_clips(out, heard, group_by)
    given = [*(part for column in group_by for part in ("--group-by", column)), *_limited(limit)]
    _keep("asr", found, manifest, settings, out, as_json)
    if card_file and card:
        _write_card(card_file, card, "asr", found, [manifest.name, *given])
    return 0


@command.command("search")
@_shared
@click.option("--path-column", default="path", show_default=True, help="Column of the files, relative to MANIFEST.")
@click.option("--questions", type=click.IntRange(1), default=200, show_default=True, help="At most so many.")
def search(
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
    card_file = _card(Path(chosen.acoustic.path)) if card else None
    columns = {"path_column": path_column, "text_column": text_column}
    with _heard(manifest, chosen, settings, limit, columns) as (heard, folder):
        found = report(heard, chosen, settings, folder, questions)
    given = [*(["--questions", str(questions)] if questions != 200 else []), *_limited(limit)]
    _keep("search", found, manifest, settings, out, as_json)
    if card_file and card:
        _write_card(card_file, card, "search", found, [manifest.name, *given])
    return 0


@command.command("topics")
@_shared
@click.option("--label-column", default="label", show_default=True, help="Column of the true labels.")
@click.option("--train", type=click.Path(path_type=Path), help="Texts to train the linear baseline on.")
def topics(
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
    topics = chosen.ref("topics")
    name = (topics or chosen.acoustic).path  # a folder named by --models is the classifier itself
    if not topics and not Path(name).is_dir():
        raise Misconfigured(f"The set {chosen.name} has no topic model.", next="Name another with --models.")
    card_file = _card(Path(name)) if card else None
    model = load_topics(name, revision=topics.revision if topics else None, device=settings.device)
    trained = Problems()
    found = evaluate_topics(model, pairs, train=read_texts(train, trained, **columns) if train else ())
    found |= {"models": {"set": chosen.name, "topics": name}, "recipe": recipes(chosen, settings)["topics"]}
    _tell(problems)
    _tell(trained, "training texts, ")
    given = [*(["--train", train.name] if train else []), *_limited(limit)]
    _keep("topics", found, manifest, settings, out, as_json)
    if card_file and card:
        _write_card(card_file, card, "topics", found, [manifest.name, *given])
    return 0


@command.command("sounds")
@_shared
@click.option("--path-column", default="path", show_default=True, help="Column of the files, relative to MANIFEST.")
def sounds(
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
    from tasks.evaluation.manifest import Problems, drawn
    from tasks.evaluation.sounds import evaluate_sounds, read_sounds
    from tasks.models.catalog import find_set
    from tasks.sounds.encoder import load_sound_encoder

    settings = settings_from(lake=lake, models=models)
    problems = Problems()
    chosen = find_set(settings)
    model = chosen.ref("sounds")
    name = (model or chosen.acoustic).path  # a folder named by --models is the model itself
    card_file = _card(Path(name)) if card else None
    encoder = load_sound_encoder(
        name, revision=model.revision if model else None, device=settings.device, precision=settings.precision
    )
    rows = drawn(read_sounds(manifest, problems, path_column=path_column, text_column=text_column), limit)
    settings.scratch.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="run-evaluate-", dir=settings.scratch) as scratch,
        counting("sounds") as show,
    ):
        found = evaluate_sounds(encoder, rows, Path(scratch), settings, problems, lambda done: show(done, len(rows)))
    found |= {"models": {"set": chosen.name, "sounds": name}}
    _tell(problems)
    _keep("sounds", found, manifest, settings, out, as_json)
    if card_file and card:
        _write_card(card_file, card, "sounds", found, [manifest.name, "--text-column", text_column, *_limited(limit)])
    return 0


@contextlib.contextmanager
def _heard(
    manifest: Path, chosen: Any, settings: Any, limit: int | None, columns: dict[str, Any]
) -> Iterator[tuple[list[Any], Path]]:
    """The clips of a manifest as the models hear them, and a folder that is there as long as this context."""
    from tasks.evaluation.asr import hear, read_clips
    from tasks.evaluation.manifest import Problems, drawn

    problems = Problems()
    clips = drawn(read_clips(manifest, problems, **columns), limit)
    settings.scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="run-evaluate-", dir=settings.scratch) as name:
        with counting("clips") as show:
            heard = list(hear(clips, chosen, settings, Path(name), problems, lambda done: show(done, len(clips))))
        _tell(problems)
        yield heard, Path(name)


def _limited(limit: int | None) -> list[str]:
    return ["--limit", str(limit)] if limit else []


def _tell(problems: Any, of: str = "") -> None:
    for line in problems.lines():
        print(f"Left out: {of}{line}", file=sys.stderr)


def _keep(kind: str, found: dict[str, Any], manifest: Path, settings: Any, out: Path | None, as_json: bool) -> None:
    """The report wherever it is wanted: terminal, folder, lake."""
    import json

    from tasks.evaluation.keep import draw, markdown, record
    from tasks.lake.store import Lake

    print_json(found) if as_json else print(markdown(kind, found))
    if out:
        out.mkdir(parents=True, exist_ok=True)
        (out / "report.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        (out / "report.md").write_text(markdown(kind, found) + "\n", encoding="utf-8")
        draw(kind, found, out / "report.png")
    kept = Lake(settings.lake)
    record(kept, kind, found, manifest)
    print(f"Kept in the table evaluations of {kept.uri}.", file=sys.stderr)


def _card(model: Path) -> Path:
    from tasks.errors import Misconfigured

    if not (model / "README.md").is_file():
        raise Misconfigured(f"{model} has no card (README.md) to write into.", next="Leave --card out.")
    return model / "README.md"


def _write_card(card_file: Path, name: str, kind: str, found: dict[str, Any], given: list[str]) -> None:
    from tasks.evaluation.keep import markdown, write_card

    command = shlex.join(["nightscribe", "evaluate", kind, *given, "--card", name])
    write_card(card_file, name, f"{markdown(kind, found)}\n\n`{command}`")


def _write_clips(out: Path, heard: list[Any], group_by: tuple[str, ...]) -> None:
    import csv

    out.mkdir(parents=True, exist_ok=True)
    with (out / "clips.tsv").open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle, delimiter="\t")
        writer.writerow(("path", "text", "said", "greedy", *group_by))
        writer.writerows((h.clip.path, h.clip.text, h.said, h.greedy, *h.clip.groups) for h in heard)
