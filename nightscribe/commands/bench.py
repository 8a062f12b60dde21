"""`nightscribe bench`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from nightscribe.cli import print_json
from nightscribe.common import json_option

if TYPE_CHECKING:
    from nightscribe.bench.table import Table

BENCHES = {
    "start": ("start", "bench"),
    "decoder": ("decoder", "bench"),
    "speech": ("speech", "bench"),
    "asr": ("asr", "bench"),
    "models": ("models", "bench"),
    "overhead": ("run", "bench_overhead"),
    "memory": ("run", "bench_memory"),
    "every-stage": ("run", "bench_every_stage"),
    "lake": ("lake", "bench"),
    "scan": ("scan", "bench"),
    "stages": ("stages", "bench"),
    "screen": ("screen", "bench"),
    "frames": ("frames", "bench"),
    "expiry": ("expiry", "bench"),
    "search": ("search", "bench"),
    "web": ("web", "bench"),
    "training": ("training", "bench"),
}


@click.command("bench")
@click.argument("names", nargs=-1, type=click.Choice(list(BENCHES)), metavar="[NAME]...")
@click.option("--full", is_flag=True, help="As long as the figures of docs/figures.md took; else a few minutes.")
@click.option("--write", is_flag=True, help="Put the tables into docs/figures.md of this repository.")
@json_option
def command(names: tuple[str, ...], full: bool, write: bool, as_json: bool) -> int:
    """Measure this machine: all benches, or those named (start, decoder, speech, asr, models, overhead,
    memory, every-stage, lake, scan, stages, screen, frames, expiry, search, web, training).

    Let nothing else run beside it. The bench search is left out where no Elasticsearch is set, unless it is named.

    \b
    Example:
      nightscribe bench speech decoder --full
    """
    from nightscribe.bench.table import write_into
    from tasks.settings import REPO

    tables = []
    for name in names or _possible():
        print(f"{name} ...", file=sys.stderr, flush=True)
        tables.append(_bench(name)(full=full))
        if not as_json:
            print(tables[-1].markdown(full=full) + "\n", flush=True)
        if write:  # each when it is done: the next may take hours
            write_into(REPO / "docs" / "figures.md", tables[-1], full=full)
    if as_json:
        print_json({table.name: table.figures for table in tables})
    return 0


def _possible() -> list[str]:
    from nightscribe.common import settings_from

    return [name for name in BENCHES if name != "search" or settings_from().elasticsearch_url]


def _bench(name: str) -> Callable[..., Table]:
    module, function = BENCHES[name]
    found: Callable[..., Table] = getattr(importlib.import_module(f"nightscribe.bench.{module}"), function)
    return found
