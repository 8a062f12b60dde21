"""`nightscribe models`."""

from __future__ import annotations

import sys
from dataclasses import asdict

import click

from nightscribe.cli import print_json
from nightscribe.common import console, json_option, settings_from


@click.group("models")
def command() -> None:
    """Model sets of the catalogue.

    \b
    Example:
      nightscribe models list
      nightscribe models fetch english
    """


@command.command("list")
@json_option
def list_sets(as_json: bool) -> int:
    """Name the sets, their models and licences, what is reported of them, and how fast they are on two CPU cores.

    \b
    Example:
      nightscribe models list
    """
    from tasks.models.catalog import read_catalog

    sets = read_catalog(settings_from().catalog)
    if as_json:
        print_json([entry.entry() for entry in sets.values()])
        return 0
    for entry in sets.values():
        parts = ", ".join(model.path for model in entry.models.values())
        console().print(f"{entry.name:<16}{entry.language:<4}{parts}  ({entry.licence})", markup=False)
        for line in filter(None, (entry.about, entry.measured and f"{entry.measured} on two CPU cores")):
            console().print(f"{'':<20}{line}", markup=False)
    return 0


@command.command("check")
@click.argument("name")
@json_option
def check(name: str, as_json: bool) -> int:
    """Load a set, say what it is, and let it hear a clip of the sample archive. Exits with 1 where something is off.

    NAME is a set of the catalogue or a folder, as --models takes it.

    \b
    Example:
      nightscribe models check english
      nightscribe models check models/ours/best
    """
    from tasks.evaluation.check import check_set
    from tasks.models.catalog import find_set

    settings = settings_from(models=name)
    found = check_set(find_set(settings), settings)
    if as_json:
        print_json(asdict(found))
        return 1 if found.problems else 0
    rows = {
        "model": f"{found.model_class}, {found.megabytes:.0f} MB in {found.precision} on {found.device}",
        "input": found.inputs,
        "frame": f"{found.frame_ms:g} ms"
        + (f"; words are timed in {found.timing_frame_ms:g} ms" if found.timing_frame_ms else ""),
        "vocabulary": f"{found.tokens} tokens, {found.writes}, {found.case} case; the blank is {found.blank}",
        "language model": "none"
        if found.writable is None
        else f"{found.language_model_words} words, {found.writable:.1%} of which the model can write",
        "speed": f"{found.times_real_time:.1f} times real time, {found.memory_mb:.0f} MB of memory in all",
        "greedy": found.heard,
        "search": found.searched,
        "word error": "not judged" if found.word_error is None else f"{found.word_error:.1%}",
    }
    for what, value in rows.items():
        console().print(f"{what:<16}{value}", markup=False)
    for problem in found.problems:
        print(problem, file=sys.stderr)
    return 1 if found.problems else 0


@command.command("fetch")
@click.argument("name")
def fetch(name: str) -> int:
    """Bring a set, or one model by its hub id, into the cache. Needs a network; runs afterwards need none.

    Every download is of one commit, which is noted beside the catalogue (`catalog.lock.toml`) and is the same ever after.

    \b
    Example:
      nightscribe models fetch english
    """
    from tasks.models.catalog import fetch_models

    for model in fetch_models(name, settings_from()):
        print(f"{model} is here.", file=sys.stderr)
    return 0
