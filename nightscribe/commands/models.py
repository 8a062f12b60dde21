"""`nightscribe models`."""

from __future__ import annotations

import sys

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
    """Name the sets, their models and licences.

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
        console().print(f"{entry.name:<12}{entry.language:<4}{parts}  ({entry.licence})", markup=False)
    return 0


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
