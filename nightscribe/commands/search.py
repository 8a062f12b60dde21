"""`nightscribe search`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from nightscribe.cli import print_json
from nightscribe.common import clock, console, json_option, lake_option, open_lake, settings_from


@click.command("search")
@click.argument("words", nargs=-1, required=True)
@lake_option
@click.option("--phrase", is_flag=True, help="The words in this order, one after the other.")
@click.option("--topic", help="Only videos whose first topic is this.")
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="Published on this day or later.")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="Published on this day or before.")
@click.option("--language", help="Only videos in this language.")
@click.option("--min-confidence", type=click.FloatRange(0, 1), default=0.0, help="Only videos recognised so surely.")
@click.option("--limit", type=click.IntRange(1, 1000), default=10, show_default=True, help="Videos to show.")
@click.option("--offset", type=click.IntRange(0), default=0, help="Videos to pass over (`next` of the page before).")
@click.option("--moments", type=click.IntRange(1, 100), default=3, show_default=True, help="Moments of each video.")
@click.option(
    "--engine", type=click.Choice(["auto", "duckdb"]), default="auto", show_default=True, help="Where to ask."
)
@json_option
def command(
    words: tuple[str, ...],
    lake: str | None,
    phrase: bool,
    topic: str | None,
    since: datetime | None,
    until: datetime | None,
    language: str | None,
    min_confidence: float,
    limit: int,
    offset: int,
    moments: int,
    engine: str,
    as_json: bool,
) -> int:
    """Find WORDS in what was said: all of them within 15 seconds, or with --phrase one after the other.

    \b
    Example:
      nightscribe search interest rates --since 2024-01-01
      nightscribe search --phrase once upon a time
    """
    from tasks.lake.views import connect
    from tasks.search.duck import search
    from tasks.search.query import make_query

    query = make_query(
        " ".join(words),
        phrase=phrase,
        topic=topic,
        since=since.date() if since else None,
        until=until.date() if until else None,
        language=language,
        min_confidence=min_confidence,
        limit=limit,
        offset=offset,
        moments=moments,
    )
    answer = search(connect(open_lake(settings_from(lake=lake).lake)), query)
    if as_json:
        print_json(answer)
    else:
        show(answer, console())
    return 0


def show(answer: dict[str, Any], out: Any) -> None:
    """Print an answer for people on a rich console."""
    from rich.text import Text

    if not answer["videos"]:
        out.print(Text("Nothing found. Try fewer words, or without --phrase."))
        return
    moments, videos = answer["total_moments"], answer["total_videos"]
    out.print(Text(f"{moments} moment{'s' * (moments != 1)} in {videos} video{'s' * (videos != 1)}", style="dim"))
    for video in answer["videos"]:
        out.print()
        line = Text(video["title"], style="bold")
        line.append(f"  {video['key']}", style="dim")
        if video["topics"]:
            line.append("  " + ", ".join(video["topics"]), style="cyan")
        out.print(line)
        for moment in video["moments"]:
            line = Text(f"  {clock(moment['start_ms']):>9}  ", style="green")
            snippet = Text(moment["snippet"], style="default")
            for start, end in moment["marks"]:
                snippet.stylize("bold yellow", start, end)
            out.print(line + snippet)
        if video["moments_total"] > len(video["moments"]):
            out.print(Text(f"             and {video['moments_total'] - len(video['moments'])} more", style="dim"))
    if answer["next"]:
        out.print(Text(f"\nMore with --offset {answer['next']}", style="dim"))
