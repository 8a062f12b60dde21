"""`nightscribe sync`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Any

import click

from nightscribe.cli import print_json
from nightscribe.common import json_option, lake_option, open_lake, settings_from

SHOWN = 20


@click.command("sync")
@lake_option
@click.option(
    "--rebuild", is_flag=True, help="A new index from the lake, beside the one that answers until it is good."
)
@click.option("--verify", is_flag=True, help="Only compare index and lake, video by video.")
@click.option("--repair", is_flag=True, help="Compare, and mend what differs.")
@json_option
def command(lake: str | None, rebuild: bool, verify: bool, repair: bool, as_json: bool) -> int:
    """Keep Elasticsearch in step with the lake: send what changed since the last sync.

    Safe to repeat, to interrupt, and to run beside an index run. Settings that begin with elasticsearch_ say where.

    \b
    Exit code 0: the index has what the lake has. 1: it lacks something; the next sync tries again.
    Example:
      nightscribe sync --verify
    """
    if rebuild + verify + repair > 1:
        raise click.UsageError("Only one of --rebuild, --verify and --repair can be given.")
    from tasks.search.elastic.sync import sync as bring_up
    from tasks.search.elastic.syncer import Syncer

    settings = settings_from(lake=lake)
    opened = open_lake(settings.lake)
    if verify or repair:
        return _compare(Syncer.of(opened, settings), mend=repair, as_json=as_json)
    if rebuild:
        from tasks.search.elastic.rebuild import rebuild as make_anew

        report = make_anew(Syncer.of(opened, settings))
    else:
        report = bring_up(opened, settings)
    return _show(report, as_json=as_json)


def _compare(syncer: Any, *, mend: bool, as_json: bool) -> int:
    from tasks.search.elastic.verify import repair, verified

    index, differences = verified(syncer)
    if mend and differences:
        return _show(repair(syncer, index, differences), as_json=as_json)
    if as_json:
        print_json({"index": index, "differences": [asdict(difference) for difference in differences]})
    else:
        for difference in differences[:SHOWN]:
            print(difference.sentence(), file=sys.stderr)
        if len(differences) > SHOWN:
            print(f"and {len(differences) - SHOWN} more", file=sys.stderr)
        print(f"{len(differences)} differences." if differences else "The index has what the lake has.")
    return 1 if differences else 0


def _show(report: Any, *, as_json: bool) -> int:
    if as_json:
        print_json(asdict(report))
    else:
        for note in report.notes:
            print(note, file=sys.stderr)
        for failure in report.failed[:SHOWN]:
            print(f"  failed  {failure['video_id']}: {failure['reason']}", file=sys.stderr)
        if len(report.failed) > SHOWN:
            print(f"  and {len(report.failed) - SHOWN} more; the table sync_failures has them all", file=sys.stderr)
        print(report.sentence())
        if report.outcome != "done":
            print("The index lacks something; run the same command again when its cause is mended.", file=sys.stderr)
    return 0 if report.outcome == "done" else 1
