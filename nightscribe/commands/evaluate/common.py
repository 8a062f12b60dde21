"""What the commands of `nightscribe evaluate` share: options, clips that are heard, and where a report goes."""

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
from nightscribe.common import json_option, lake_option
from nightscribe.progress import counting

path_option = click.option(
    "--path-column", default="path", show_default=True, help="Column of the files, relative to MANIFEST."
)


def shared(function: Any) -> Any:
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


@contextlib.contextmanager
def heard_clips(
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
        tell(problems)
        yield heard, Path(name)


def limited(limit: int | None) -> list[str]:
    return ["--limit", str(limit)] if limit else []


def tell(problems: Any, of: str = "") -> None:
    for line in problems.lines():
        print(f"Left out: {of}{line}", file=sys.stderr)


def keep(kind: str, found: dict[str, Any], manifest: Path, settings: Any, out: Path | None, as_json: bool) -> None:
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


def of_role(chosen: Any, role: str) -> tuple[str, str | None]:
    """The model of a set that is judged, and its revision; a folder that --models names is that model itself."""
    model = chosen.ref(role)
    return (model or chosen.acoustic).path, model.revision if model else None


def card_of(model: Path) -> Path:
    from tasks.errors import Misconfigured

    if not (model / "README.md").is_file():
        raise Misconfigured(f"{model} has no card (README.md) to write into.", next="Leave --card out.")
    return model / "README.md"


def write_into_card(card_file: Path, name: str, kind: str, found: dict[str, Any], given: list[str]) -> None:
    from tasks.evaluation.keep import markdown, write_card

    command = shlex.join(["nightscribe", "evaluate", kind, *given, "--card", name])
    write_card(card_file, name, f"{markdown(kind, found)}\n\n`{command}`")
