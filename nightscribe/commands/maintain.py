"""`nightscribe maintain`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Any

import click

from nightscribe.cli import print_json
from nightscribe.common import json_option, lake_option, open_lake, settings_from


@click.command("maintain")
@lake_option
@click.option("--check", "only_check", is_flag=True, help="Only look whether all is well.")
@json_option
def command(lake: str | None, only_check: bool, as_json: bool) -> int:
    """Compact the lake, expire old generations, sweep what killed runs left, vacuum, and check the result.

    Search indices that a rebuild replaced go too, after their time.
    Safe while others read and write. Exit code 1 when the check finds a fault.

    \b
    Example:
      nightscribe maintain --check
    """
    from tasks.lake.maintain import Maintenance, check, maintain

    settings = settings_from(lake=lake)
    opened = open_lake(settings.lake)
    if only_check:
        done = Maintenance(problems=check(opened))
    else:
        done = maintain(
            opened,
            keep_generations=settings.keep_generations,
            grace_h=settings.sweep_grace_h,
            scratch=settings.scratch,
        )
        if settings.elasticsearch_url:
            done.removed_indices = _tidy_search(settings)
    if as_json:
        print_json(asdict(done))
    else:
        for problem in done.problems:
            print(problem, file=sys.stderr)
        if not only_check:
            for index in done.removed_indices:
                print(f"The search index {index}, which nothing asks any more, was removed.")
            print(
                f"{sum(done.compacted.values())} files compacted, {done.expired_generations} generations expired, "
                f"{sum(done.swept_rows.values())} rows swept, {done.vacuumed_files} files removed."
            )
        print("The lake is sound." if not done.problems else f"{len(done.problems)} faults found.")
    return 1 if done.problems else 0


def _tidy_search(settings: Any) -> list[str]:
    """Old indices may wait for the next time: the lake is what `maintain` is for."""
    from tasks.errors import Misconfigured, SearchUnavailable
    from tasks.search.elastic.index import tidy

    try:
        return tidy(settings)
    except (Misconfigured, SearchUnavailable) as error:
        print(f"Old search indices were not looked for: {error}", file=sys.stderr)
        return []
