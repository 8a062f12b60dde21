"""`nightscribe search`."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal

import click

from nightscribe.cli import print_json
from nightscribe.common import clock, console, json_option, lake_option, open_lake, settings_from

SHOWN = {"screen": "on the screen", "title": "in the title"}  # of a moment that is not said


@click.command("search")
@click.argument("words", nargs=-1)
@lake_option
@click.option("--picture", metavar="TEXT", help="What is to be seen, in words. With WORDS: while they are said.")
@click.option(
    "--image",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What is to be seen, as a picture in a file.",
)
@click.option("--sound", metavar="TEXT", help="What is to be heard, other than words. With WORDS: while they are said.")
@click.option(
    "--sound-file",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="What is to be heard, as the sound of a file.",
)
@click.option("--plus", multiple=True, metavar="TEXT", help="Also to be seen, or heard.")
@click.option("--minus", multiple=True, metavar="TEXT", help="To be taken away from what is to be seen, or heard.")
@click.option("--phrase", is_flag=True, help="The words in this order, one after the other; so is a text in quotes.")
@click.option("--any", "any_word", is_flag=True, help="One of the words is enough; the more, the better.")
@click.option("--exact", is_flag=True, help="Words as typed only, not others of the same stem.")
@click.option("--typos", is_flag=True, help="Forgive one typo in words of four letters or more.")
@click.option(
    "--in",
    "places",
    metavar="PLACES",
    help="Where to look: speech, screen (what is to be read there), title; several with commas.  [default: speech,screen]",
)
@click.option("--topic", help="Only videos whose first topic is this.")
@click.option("--since", type=click.DateTime(["%Y-%m-%d"]), help="Published on this day or later.")
@click.option("--until", type=click.DateTime(["%Y-%m-%d"]), help="Published on this day or before.")
@click.option("--language", help="Only videos in this language.")
@click.option(
    "--status",
    type=click.Choice(["indexed", "no_speech", "no_audio", "failed", "gone"]),
    default="indexed",
    show_default=True,
    help="Videos of another status have no words: they are found by those of their titles.",
)
@click.option("--min-confidence", type=click.FloatRange(0, 1), default=0.0, help="Only videos recognised so surely.")
@click.option("--video", metavar="ID", help="Only in this video.")
@click.option("--limit", type=click.IntRange(1, 1000), default=10, show_default=True, help="Videos to show.")
@click.option(
    "--offset", type=click.IntRange(0, 999_000), default=0, help="Videos to pass over (`next` of the page before)."
)
@click.option("--moments", type=click.IntRange(1, 100), default=3, show_default=True, help="Moments of each video.")
@click.option(
    "--engine",
    type=click.Choice(["auto", "duckdb", "elasticsearch"]),
    default="auto",
    show_default=True,
    help="Where to ask; auto is Elasticsearch where it is set, and the lake when it does not answer; of what is to be seen or "
    "heard, the lake up to a million vectors.",
)
@json_option
def command(
    words: tuple[str, ...],
    picture: str | None,
    image: tuple[Path, ...],
    sound: str | None,
    sound_file: tuple[Path, ...],
    plus: tuple[str, ...],
    minus: tuple[str, ...],
    lake: str | None,
    phrase: bool,
    any_word: bool,
    exact: bool,
    typos: bool,
    places: str | None,
    topic: str | None,
    since: datetime | None,
    until: datetime | None,
    language: str | None,
    status: str,
    min_confidence: float,
    video: str | None,
    limit: int,
    offset: int,
    moments: int,
    engine: Literal["auto", "duckdb", "elasticsearch"],
    as_json: bool,
) -> int:
    """Find WORDS in what was said, or stood on the screen: all of them within a passage, or with --phrase one after the other. Or
    find what was to be seen, or heard.

    A passage is 15 to 30 seconds with the 31 words before it. A word that ends in * stands for all that begin so; numbers
    are also looked for as they are read aloud. Where nothing is found, words are tried together, apart and written out.

    \b
    Example:
      nightscribe search interest rates --since 2024-01-01
      nightscribe search --phrase once upon a time
      nightscribe search "elect*" --video 0a9c7e5b3d1f8a6c4e2b
      nightscribe search --in screen,title "chapter one"
      nightscribe search --picture "a red car on a bridge"
      nightscribe search --image street.jpg --plus night --minus car
      nightscribe search --sound "a dog barking"
    """
    from tasks.search.answer import answer
    from tasks.search.places import places_of

    settings = settings_from(lake=lake)
    seen, heard = bool(picture or image), bool(sound or sound_file)
    if not (words or seen or heard):
        raise click.UsageError(
            "Missing argument 'WORDS...'." if not (plus or minus) else "Nothing to add to, or take away from."
        )
    if seen and heard:
        raise click.UsageError("One question is of what was to be seen or of what was to be heard, not of both.")
    if (plus or minus) and not (seen or heard):
        raise click.UsageError("--plus and --minus go with --picture, --image, --sound or --sound-file.")
    if (seen or heard) and status != "indexed":
        raise click.UsageError(
            "--status is for words: what was to be seen or heard is found in videos of every status."
        )
    if (seen or heard) and places and not words:
        raise click.UsageError("--in says where to look for WORDS, of which there are none.")
    ask: Any = answer
    if seen or heard:
        from tasks.search import near

        wished, files = (picture, image) if seen else (sound, sound_file)
        wish = near.Wish((*([wished] if wished else []), *plus), files, minus)
        ask = partial(near.answer, wish=wish, kind="pictures" if seen else "sounds")
    found = ask(
        settings,
        open_lake(settings.lake),
        engine=engine,
        text=" ".join(words),
        phrase=phrase,
        any_word=any_word,
        stems=not exact,
        typos=typos,
        topic=topic,
        since=since.date() if since else None,
        until=until.date() if until else None,
        language=language,
        status=status,
        min_confidence=min_confidence,
        video=video,
        limit=limit,
        offset=offset,
        moments=moments,
        **({"places": places_of(places)} if places else {}),
    )
    if as_json:
        print_json(found)
    else:
        show(found, console())
    return 0


def show(answer: dict[str, Any], out: Any) -> None:
    """Print an answer for people on a rich console."""
    from rich.text import Text

    if answer["fallback_reason"]:
        out.print(Text(f"Answered from the lake: {answer['fallback_reason']}.", style="yellow"))
    if not answer["total_videos"]:
        out.print(Text("Nothing found."))
        for other in answer["suggestions"]:
            videos = other["total_videos"]
            out.print(Text(f"  {other['text']}  ({other['why']}, {videos} video{'s' * (videos != 1)})"))
        return
    if instead := answer["instead"]:
        out.print(
            Text(f"Nothing found as typed. Searched instead: {instead['text']}  ({instead['why']})", style="yellow")
        )
    perceived = {"picture": "seen", "sound": "heard"}.get(answer["mode"])
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
            if perceived:
                line = Text(f"  {clock(moment['start_ms']):>9}  ", style="green")
                line.append(
                    f"{perceived} until {clock(moment['end_ms'])}, similarity {moment['similarity']:.2f}", style="dim"
                )
                out.print(line)
                continue
            line = Text(f"  {clock(moment['start_ms']):>9}  ", style="green")
            if moment["place"] != "speech":
                line.append(f"{SHOWN[moment['place']]}  ", style="cyan")
            snippet = Text(moment["snippet"], style="default")
            for start, end in moment["marks"]:
                snippet.stylize("bold yellow", start, end)
            out.print(line + snippet)
        if video["moments_total"] > len(video["moments"]):
            out.print(Text(f"             and {video['moments_total'] - len(video['moments'])} more", style="dim"))
    if answer["next"]:
        out.print(Text(f"\nMore with --offset {answer['next']}", style="dim"))
