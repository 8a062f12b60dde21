"""`nightscribe setup`."""

from __future__ import annotations

import os
import subprocess
import sys

import click

from nightscribe.cli import print_json
from nightscribe.common import json_option, settings_from


@click.command("setup")
@click.option("--pool-type", metavar="TYPE", help="Type of a new work pool; default process.")
@json_option
def command(pool_type: str | None, as_json: bool) -> int:
    """Make the work pool, its queues and the deployments of prefect.yaml on the Prefect server that PREFECT_API_URL names.

    Run it again after every update: it changes what differs, and schedules are never doubled. A deployment that the file
    has no more stays, and is named.

    \b
    Example:
      nightscribe setup
    """
    from nightscribe.prefect_env import server_that_is_set
    from tasks.errors import NotSetUp
    from tasks.settings import REPO

    settings = settings_from()
    with server_that_is_set() as url:
        from flows.fleet import POOL, prepare_pool, settle_schedules

        done = prepare_pool(pool_type)
        deploy = [sys.executable, "-m", "prefect", "--no-prompt", "deploy", "--all"]
        # Prefect wraps what it prints to the width of a terminal; nothing of it is shown unless it fails.
        made = subprocess.run(
            deploy, cwd=REPO, env={**os.environ, "COLUMNS": "200"}, capture_output=True, text=True, check=False
        )
        if made.returncode:
            raise NotSetUp(
                f"Prefect refused prefect.yaml: {(made.stdout + made.stderr).strip()[-1500:]}", next="Mend it."
            )
        wanted = _in_the_file()
        deployments = {name: ", ".join(when) for name, when in settle_schedules(wanted).items()}
        done |= {f"deployment {name}": "not in prefect.yaml, left as it is" for name in deployments.keys() - wanted}
    if as_json:
        print_json({"server": url, "bucket": settings.bucket, "done": done, "deployments": deployments})
        return 0
    for what, how in done.items():
        print(f"{what}: {how}")
    for name, when in deployments.items():
        print(f"deployment {name}: {when or 'runs when asked'}")
    if not settings.bucket:
        print(
            'The nights need a bucket: bucket = "s3://..." in nightscribe.toml, or NIGHTSCRIBE_BUCKET, for the workers.'
        )
    # Without a limit, a worker begins all the slices of a backfill at once.
    print(f"Start a worker on each machine: prefect worker start --pool {POOL} --limit 2")
    return 0


def _in_the_file() -> dict[str, bool]:
    """Names of the deployments, and whether the file has a schedule for them."""
    import yaml

    from tasks.settings import REPO

    found = yaml.safe_load((REPO / "prefect.yaml").read_text(encoding="utf-8"))["deployments"]
    return {d["name"]: bool(d.get("schedules")) for d in found}
