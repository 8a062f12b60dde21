"""`nightscribe forget`."""

from __future__ import annotations

import click

from nightscribe.cli import print_json
from nightscribe.common import json_option, lake_option, open_lake, settings_from


@click.command("forget")
@click.argument("videos", nargs=-1, required=True, metavar="VIDEO...")
@lake_option
@click.option(
    "--subtitles",
    "folders",
    multiple=True,
    metavar="DIR",
    help="A folder with subtitles that the lake does not know of; may be repeated.",
)
@json_option
def command(videos: tuple[str, ...], lake: str | None, folders: tuple[str, ...], as_json: bool) -> int:
    """Remove videos, by id or key, for good: from the lake with its history, Elasticsearch, subtitles and caches.

    Prints a certificate of what was removed, which is to be kept: it names nothing of what the videos said. They are not
    indexed again while their objects stay in the bucket, unless `index --remember` asks for it. Killed, it is run again.

    \b
    Exit code 0: nothing is left. 1: something could not go yet; the certificate says what.
    Example:
      nightscribe forget talks/private.mp4 --json > certificate.json
    """
    from tasks.erasure.forget import find_videos, forget

    settings = settings_from(lake=lake)
    opened = open_lake(settings.lake)
    certificate = forget(opened, settings, find_videos(opened, videos), folders=folders, names=videos)
    if as_json:
        print_json(certificate.as_json())
    else:
        print(certificate.text())
    return 0 if certificate.complete else 1
