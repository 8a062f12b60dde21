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

    Beside talk.mp4 they are talk.en.vtt, which players find. Where another video has the same name but for its extension,
    or such a file is somebody else's, they are talk.mp4.vtt; so they always are with subtitles_beside = "long". A file of
    ours under an earlier name is replaced.

    \b
    Example:
      nightscribe subtitles --format srt --out subtitles/
    """
    from tasks.subtitles.files import write_subtitles

    settings = settings_from(lake=lake)
    done = write_subtitles(
        open_lake(settings.lake), folder=out, format=form, settings=settings, video_ids=videos or None
    )
    if as_json:
        print_json(done)
        return 0
    for item in done["skipped"]:
        print(f"{item['video_id']}: skipped, {item['reason']}", file=sys.stderr)
    for item in done["notes"]:
        print(f"{item['video_id']}: {item['reason']}", file=sys.stderr)
    checks, n, gone = done["lint"], len(done["written"]), len(done["replaced"])
    earlier = f" {gone} file{'s' * (gone != 1)} under earlier names removed." if gone else ""
    print(f"{n} file{'s' * (n != 1)}, {checks['cues']} cue{'s' * (checks['cues'] != 1)}.{earlier}")
    if checks["cues"]:
        print(
            f"Inside the limits: line length {checks['line_length_ok']:.1%}, duration {checks['duration_ok']:.1%}, "
            f"reading speed {checks['cps_ok']:.1%}, gaps {checks['gap_ok']:.1%}; overlaps: {checks['overlaps']}."
        )
    return 0
