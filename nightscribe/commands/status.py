"""`nightscribe status`."""

from __future__ import annotations

from typing import Any

import click

from nightscribe.cli import print_json
from nightscribe.common import clock, console, json_option, lake_option, open_lake, settings_from


@click.command("status")
@lake_option
@json_option
def command(lake: str | None, as_json: bool) -> int:
    """What is indexed, what failed and why, what is due, and the last runs.

    \b
    Example:
      nightscribe status --json
    """
    from tasks.runs.status import status_of

    settings = settings_from(lake=lake)
    found = status_of(open_lake(settings.lake), settings)
    if as_json:
        print_json(found)
        return 0
    _show(found, settings)
    return 0


def _machine(entry: dict[str, Any], currency: str) -> str:
    """What one kind of device has done and cost."""
    said = f"{entry['machine_hours']:.2f} h on {entry['hardware'] or entry['device']} for {entry['media_hours']:.2f} h of media"
    return said if entry["cost"] is None else f"{said}, {entry['cost']:.4f} {currency}"


def _show(found: dict[str, Any], settings: Any) -> None:
    out = console()
    videos = ", ".join(f"{n} {status}" for status, n in found["videos"].items()) or "no videos yet"
    lines = [
        f"Lake      {found['lake']} (commit {found['lake_version']} of its videos)",
        f"Videos    {videos}",
        f"Media     {clock(found['media_ms'])}, {found['words']} words",
        f"Due       {found['due']['retry']} to try again, {found['due']['stale']} by an older recipe",
    ]
    for stage, counts in found["stages"].items():
        lines.append(
            f"Stage     {stage:<12} {', '.join(f'{n} {state}' for state, n in counts.items() if n) or 'nothing yet'}"
        )
    lines += [f"Failed    {n} {reason}" for reason, n in found["failed_by_reason"].items()]
    costs = found["costs"]
    for entry in costs["devices"]:
        lines.append(f"Machine   {_machine(entry, costs['currency'])}")
    if found["cost_per_media_hour"] is not None:
        lines.append(f"Cost      {found['cost_per_media_hour']:.4f} {costs['currency']} for an hour of media")
    for run in found["last_runs"]:
        lines.append(
            f"Run       {run['started_at']}  {run['outcome']}: {run['indexed']} indexed, {run['failed']} failed, {run['seconds']:.0f} s"
        )
    out.print("\n".join(lines), markup=False)
