"""Pages from templates. Every value is escaped; times, dates and lengths are shown as people write them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from tasks.quantities import lasting, size

HERE = Path(__file__).resolve().parent
STATIC = HERE / "static"


def render(template: str, **values: Any) -> str:
    """A page of `templates/`."""
    return environment().get_template(template).render(**values)


@cache
def environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        clock=clock,
        day=day,
        moment=moment,
        lasting=lasting,
        number=number,
        percent=percent,
        marked=marked,
        query=query,
        size=size,
    )
    made.globals.update(static=static_address, several=several)
    return made


def clock(ms: int | None) -> str:
    """A place in a video: `4:05`, `1:02:03`."""
    if ms is None:
        return ""
    minutes, seconds = divmod(ms // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def day(instant: str | datetime | None) -> str:
    """`1 February 2024`."""
    when = _parsed(instant)
    return f"{when.day} {when:%B %Y}" if when else ""


def moment(instant: str | datetime | None) -> str:
    """`1 February 2024, 14:05 UTC`."""
    when = _parsed(instant)
    return f"{day(when)}, {when:%H:%M} UTC" if when else ""


def _parsed(instant: str | datetime | None) -> datetime | None:
    return datetime.fromisoformat(instant.replace("Z", "+00:00")) if isinstance(instant, str) else instant


def number(value: float | None) -> str:
    """`12,345`, `0.5`."""
    if value is None:
        return ""
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:,.2f}".rstrip("0").rstrip(".") if abs(value) >= 1 else f"{value:.3g}"


def percent(share: float | None) -> str:
    """`85 %` of 0.85."""
    return "" if share is None else f"{100 * share:.0f} %"


def several(count: int, one: str, many: str | None = None) -> str:
    """`1 video`, `2 videos`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def marked(text: str, marks: Sequence[Sequence[int]]) -> Markup:
    """A text with `<mark>` around character ranges, all of it escaped."""
    out, at = Markup(""), 0
    for begin, end in marks:
        out += escape(text[at:begin]) + Markup("<mark>%s</mark>") % text[begin:end]
        at = end
    return out + escape(text[at:])


def query(values: dict[str, Any], **other: Any) -> str:
    """Values as the query of an address, those that are empty left out; `other` replaces some."""
    return urlencode({name: value for name, value in {**values, **other}.items() if value not in (None, "", False)})


@cache
def static_address(name: str) -> str:
    """The address of a file in `static/`, which changes with its content, so that browsers may keep it."""
    return f"/static/{name}?v={hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]}"
