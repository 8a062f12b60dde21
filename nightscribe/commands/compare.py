"""`nightscribe compare`."""

from __future__ import annotations

from typing import Any

import click

from nightscribe.cli import print_json
from nightscribe.common import console, json_option, lake_option, open_lake, settings_from


@click.command("compare")
@click.argument("recipes", nargs=-1, metavar="[OLD NEW]")
@lake_option
@click.option("--limit", type=click.IntRange(min=1), default=10, show_default=True, help="Lines of each list.")
@json_option
def command(recipes: tuple[str, ...], lake: str | None, limit: int, as_json: bool) -> int:
    """What changed between two recipes, word by word; without arguments, which recipes the lake has.

    OLD and NEW are recipes or how they begin. Videos with a generation of both are compared, so that a new model can be
    judged on part of an archive before it is trusted with all of it.

    \b
    Example:
      nightscribe compare
      nightscribe compare 4f1d 92ab
    """
    from tasks.evaluation.compare import compare, find_recipe, known_recipes
    from tasks.lake.views import connect

    if len(recipes) not in (0, 2):
        raise click.UsageError("Name two recipes, or none to list them.")
    connection = connect(open_lake(settings_from(lake=lake).lake))
    if not recipes:
        known = known_recipes(connection)
        print_json(known) if as_json else _list(known)
        return 0
    old, new = (find_recipe(connection, recipe) for recipe in recipes)
    found = compare(connection, old, new).as_json(limit)
    print_json(found) if as_json else _show(found)
    return 0


def _list(known: list[dict[str, Any]]) -> None:
    out = console()
    for entry in known:
        models = ", ".join(filter(None, (entry["model"], entry["language_model"])))
        out.print(
            f"{entry['recipe']}  {entry['videos']} videos, last {entry['last']:%Y-%m-%d %H:%M}  {models}", markup=False
        )
    if not known:
        out.print("No video has been transcribed yet.", markup=False)


def _show(found: dict[str, Any]) -> None:
    out = console()
    differing = found["changed"] + found["removed"] + found["added"]
    lines = [
        f"{found['videos']} videos have both; {found['unchanged_videos']} are the same word by word.",
        f"{found['words']} words of {found['old']}: {found['changed']} changed, {found['removed']} left out, "
        f"{found['added']} added ({differing / max(1, found['words'] + found['added']):.1%} differ).",
    ]
    if found["most_changed"]:
        lines.append("\nVideos that changed most")
        lines += [f"{v['share']:>7.1%}  {v['title']}  ({v['key']})" for v in found["most_changed"]]
    for title, entries in (
        ("Words that became others", [(f"{e['old']} > {e['new']}", e["n"]) for e in found["replaced"]]),
        (f"Only in {found['old']}", [(e["word"], e["n"]) for e in found["only_old"]]),
        (f"Only in {found['new']}", [(e["word"], e["n"]) for e in found["only_new"]]),
    ):
        if entries:
            lines.append(f"\n{title}")
            lines += [f"{n:>7}  {text}" for text, n in entries]
    out.print("\n".join(lines), markup=False)
