"""`nightscribe subtitles`."""

from __future__ import annotations

import sys
from typing import Literal

import click

from nightscribe.cli import print_json
from nightscribe.common import json_option, lake_option, open_lake, settings_from


@click.command("subtitles")
@lake_option
@click.option(
    "--format", "form", type=click.Choice(["vtt", "srt"]), default="vtt", show_default=True, help="WebVTT or SubRip."
)
@click.option("--out", metavar="DIR", help="Folder to write into; default is beside the videos.")
@click.option("--video", "videos", multiple=True, metavar="ID", help="Only this video; may be repeated.")
@json_option
def command(
    lake: str | None, form: Literal["vtt", "srt"], out: str | None, videos: tuple[str, ...], as_json: bool
) -> int:
    """Write the subtitles of indexed videos. Files that Nightscribe did not write are left alone.

    \b
    Example:
      nightscribe subtitles --format srt --out subtitles/
    """
    from tasks.subtitle_files import write_subtitles

    settings = settings_from(lake=lake)
    done = write_subtitles(
        open_lake(settings.lake), folder=out, format=form, settings=settings, video_ids=videos or None
    )
    if as_json:
        print_json(done)
        return 0
    for item in done["skipped"]:
        print(f"{item['video_id']}: skipped, {item['reason']}", file=sys.stderr)
    checks, n = done["lint"], len(done["written"])
    print(f"{n} file{'s' * (n != 1)}, {checks['cues']} cue{'s' * (checks['cues'] != 1)}.")
    if checks["cues"]:
        print(
            f"Inside the limits: line length {checks['line_length_ok']:.1%}, duration {checks['duration_ok']:.1%}, "
            f"reading speed {checks['cps_ok']:.1%}, gaps {checks['gap_ok']:.1%}; overlaps: {checks['overlaps']}."
        )
    return 0
