"""Options that several commands share, and the settings they lead to."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

from tasks.errors import Misconfigured

_F = TypeVar("_F", bound=Callable[..., Any])


def lake_option(function: _F) -> _F:
    """`--lake`."""
    option = click.option("--lake", metavar="URI", help="Folder or URI of the lake (default data/lake).")
    return option(function)


def json_option(function: _F) -> _F:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")(function)


def stages_options(function: _F) -> _F:
    """`--stages` and `--only`."""

    def split(context: click.Context, parameter: click.Parameter, given: tuple[str, ...]) -> tuple[str, ...]:
        names = (name.strip() for value in given for name in value.split(","))
        return tuple(dict.fromkeys(filter(None, names)))

    function = click.option("--only", is_flag=True, help="Nothing but these stages, of videos that are indexed.")(
        function
    )
    about = "Also these stages of all videos, wherever they are missing, older or failed: topics,cues; may be repeated."
    return click.option("--stages", multiple=True, metavar="NAMES", callback=split, help=about)(function)


def settings_from(**given: Any) -> Any:
    """Settings with the flags that were given laid over file and environment.

    Raises:
        Misconfigured: a value does not fit, or a key is unknown.
    """
    from tasks.stages.settings import read_settings

    return read_settings(**given)


def open_lake(uri: str) -> Any:
    """The lake, which must be there.

    Raises:
        Misconfigured: there is none yet. LakeTooNew.
    """
    from tasks.lake.store import Lake

    lake = Lake(uri)
    lake.check_version()
    if not lake.exists():
        raise Misconfigured(f"There is no lake at {lake.uri}.", next="Index something first: nightscribe index BUCKET")
    return lake


def clock(ms: int | None) -> str:
    """`1:02:03.4`, as people write it; minutes alone for short times."""
    if ms is None:
        return ""
    hours, rest = divmod(ms, 3_600_000)
    minutes, rest = divmod(rest, 60_000)
    seconds = f"{rest // 1000:02d}.{rest % 1000 // 100}"
    return f"{hours}:{minutes:02d}:{seconds}" if hours else f"{minutes}:{seconds}"


def console(stderr: bool = False) -> Any:
    """A rich console that neither wraps nor colours when its output is no terminal."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    # A log or a pipe has no width: nothing is wrapped or cut there.
    return Console(
        file=stream, highlight=False, width=None if stream.isatty() else 10_000, soft_wrap=not stream.isatty()
    )
