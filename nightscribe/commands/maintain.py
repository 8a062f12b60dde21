"""`nightscribe maintain`."""

from __future__ import annotations

import sys
from dataclasses import asdict

import click

from nightscribe.cli import print_json
from nightscribe.common import json_option, lake_option, open_lake, settings_from


@click.command("maintain")
@lake_option
@click.option("--check", "only_check", is_flag=True, help="Only look whether all is well.")
@json_option
def command(lake: str | None, only_check: bool, as_json: bool) -> int:
    """Compact the lake, expire old generations, sweep what killed runs left, vacuum, and check the result.

    An older lake gets today's form first. Videos that have been gone for `forget_gone_days` are forgotten, and so is what a
    `forget` that was killed has left. Search indices that a rebuild replaced go too, after their time.
    Safe while others read and write. Exit code 1 when the check finds a fault.

    \b
    Example:
      nightscribe maintain --check
    """
    from tasks.lake.check import check
    from tasks.lake.maintain import Maintenance

    settings = settings_from(lake=lake)
    opened = open_lake(settings.lake)
    if only_check:
        done = Maintenance(problems=check(opened))
    else:
        from tasks.runs.maintenance import take_care

        done = take_care(opened, settings)
    if as_json:
        print_json(asdict(done))
    else:
        for sentence in (*done.notes, *done.problems):
            print(sentence, file=sys.stderr)
        if not only_check:
            for index in done.removed_indices:
                print(f"The search index {index}, which nothing asks any more, was removed.")
            print(
                f"{done.forgotten} videos forgotten, {sum(done.compacted.values())} files compacted, "
                f"{done.expired_generations} generations expired, {sum(done.swept_rows.values())} rows swept, "
                f"{done.vacuumed_files} files removed."
            )
        print("The lake is sound." if not done.problems else f"{len(done.problems)} faults found.")
    return 1 if done.problems else 0
