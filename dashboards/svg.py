"""Charts as SVG, drawn by the server: they need no script, and colours come from the style sheet by class."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from math import ceil, floor, log10
from typing import Literal

from markupsafe import Markup, escape

from dashboards.render import number, several
from tasks.web.analytics import ChartData

WIDTH, HEIGHT = 560, 240
LOW = 120  # height of a second row of bars
COUNTED = ("hours",)  # charts with such a row, of their videos
LEFT, BOTTOM, TOP, RIGHT = 58, 30, 12, 8
MOST_SERIES = 8  # as many as there are colours; the rest is one
MOST_LABELS = 8
MOST_PLACES = 400
ROW = 22


@dataclass(frozen=True)
class Bar:
    """A bar of a chart: parts from below, each (number of the series, value)."""

    label: str
    parts: tuple[tuple[int, float], ...]

    @property
    def total(self) -> float:
        return sum(value for _, value in self.parts)


def chart(drawn: ChartData) -> Markup:
    """The picture of a chart's rows, with its series named below; nothing where there are no rows."""
    if not drawn.rows or drawn.chart.kind == "concordance":
        return Markup("")
    if drawn.chart.kind == "words":
        return _ranked(drawn)
    names, found = _bars(drawn, drawn.chart.value)
    picture = _columns(drawn, names, _placed(drawn, found), drawn.chart.unit) + _legend(names)
    if drawn.chart.name in COUNTED:
        counts = [Bar(bar.label, ((1, bar.total),)) for bar in _bars(drawn, "videos")[1]]
        picture += Markup('<p class="hint">Videos</p>') + _columns(drawn, [], _placed(drawn, counts), "videos", LOW)
    return picture


def _placed(drawn: ChartData, found: Sequence[Bar]) -> list[Bar]:
    known = {bar.label: bar for bar in found}
    return [known.get(label) or Bar(label, ()) for label in places(list(known), drawn.chart.axis)]


def places(labels: Sequence[str], axis: Literal["time"] | int | None) -> list[str]:
    """The labels of an axis with those between them that have no rows; what is no place on it (`no date`) comes last."""
    on_axis = [label for label in labels if label[:1].isdigit()]
    between: list[str] = []
    if axis is None or not on_axis:
        return list(labels)
    if axis == "time":
        # Years of five digits, which a date may have that somebody wrote, fit none of these.
        with contextlib.suppress(ValueError, OverflowError):
            between = _steps(min(on_axis), max(on_axis))
    else:
        numbers = [int(label) for label in on_axis]
        between = [str(number) for number in range(min(numbers), max(numbers) + 1, axis)][:MOST_PLACES]
    whole = set(on_axis) <= set(between)  # years without a row, day by day, are too many to draw
    return [*(between if whole else on_axis), *(label for label in labels if label not in on_axis)]


def _steps(first: str, last: str) -> list[str]:
    shapes = [shape for shape in _STEPS if len(shape) == len(first) and ("W" in shape) == ("W" in first)]
    if not shapes:
        return []
    read, write, following = _STEPS[shapes[0]]
    at, end = read(first), read(last)
    out: list[str] = []
    while at <= end and len(out) < MOST_PLACES:
        out.append(write(at))
        at = following(at)
    return out


def _next_month(day: date) -> date:
    return (day.replace(day=1) + timedelta(days=32)).replace(day=1)


_Step = tuple[Callable[[str], date], Callable[[date], str], Callable[[date], date]]
_STEPS: dict[str, _Step] = {
    "2024": (lambda said: date(int(said), 1, 1), lambda at: f"{at:%Y}", lambda at: at.replace(year=at.year + 1)),
    "2024-01": (lambda said: date.fromisoformat(f"{said}-01"), lambda at: f"{at:%Y-%m}", _next_month),
    "2024-W01": (date.fromisoformat, lambda at: f"{at:%G-W%V}", lambda at: at + timedelta(days=7)),
    "2024-01-01": (date.fromisoformat, date.isoformat, lambda at: at + timedelta(days=1)),
}


def _bars(drawn: ChartData, column: str) -> tuple[list[str], list[Bar]]:
    value = drawn.columns.index(column)
    if drawn.chart.series is None:
        return [], [Bar(str(row[0]), ((0, float(row[value] or 0)),)) for row in drawn.rows]
    series = drawn.columns.index(drawn.chart.series)
    weight: dict[str, float] = {}
    for row in drawn.rows:
        weight[str(row[series])] = weight.get(str(row[series]), 0.0) + float(row[value] or 0)
    names = sorted(weight, key=lambda name: (-weight[name], name))
    if len(names) > MOST_SERIES:
        names = [*names[: MOST_SERIES - 1], "others"]
    stacked: dict[str, dict[int, float]] = {}
    for row in drawn.rows:
        number_of = names.index(str(row[series])) if str(row[series]) in names else len(names) - 1
        parts = stacked.setdefault(str(row[0]), {})
        parts[number_of] = parts.get(number_of, 0.0) + float(row[value] or 0)
    return names, [Bar(label, tuple(sorted(parts.items()))) for label, parts in stacked.items()]


def _columns(drawn: ChartData, names: Sequence[str], bars: Sequence[Bar], unit: str, height: int = HEIGHT) -> Markup:
    top, step = _scale(max(bar.total for bar in bars))
    if unit == "videos" and step < 1:  # there are no halves
        top, step = ceil(top), 1.0
    inner_width, inner_height = WIDTH - LEFT - RIGHT, height - TOP - BOTTOM
    slot = inner_width / len(bars)
    width = max(1.0, min(48.0, slot * 0.78))
    out = [_head(drawn, WIDTH, height, unit)]
    for n in range(round(top / step) + 1):
        y = TOP + inner_height * (1 - n * step / top)
        out.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        out.append(
            f'<text class="tick" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{escape(number(_short(n * step)))}</text>'
        )
    every = max(1, -(-len(bars) // MOST_LABELS))
    for n, bar in enumerate(bars):
        middle = LEFT + slot * (n + 0.5)
        y = TOP + float(inner_height)
        for series, value in bar.parts:
            high = inner_height * value / top
            y -= high
            what = f"{names[series]}, {bar.label}" if names else bar.label
            amount = several(round(value), "video") if unit == "videos" else f"{number(_short(value))} {unit}"
            told = escape(f"{what}: {amount}")
            out.append(
                f'<rect class="s{series}" x="{middle - width / 2:.1f}" y="{y:.1f}" width="{width:.1f}" height="{high:.1f}">'
                f"<title>{told}</title></rect>"
            )
        if n % every == 0:
            out.append(
                f'<text class="tick" x="{middle:.1f}" y="{height - 10}" text-anchor="middle">{escape(bar.label)}</text>'
            )
    return Markup("".join([*out, "</svg>"]))


def _ranked(drawn: ChartData) -> Markup:
    """Horizontal bars, a row each."""
    value = drawn.columns.index(drawn.chart.value)
    rows = [(str(row[0]), max(0.0, float(row[value] or 0))) for row in drawn.rows]
    high = ROW * len(rows) + 8
    most = max((size for _, size in rows), default=0) or 1.0
    out = [_head(drawn, WIDTH, high, drawn.chart.unit)]
    for n, (label, size) in enumerate(rows):
        y = ROW * n + 4
        width = (WIDTH - 210) * size / most
        out.append(
            f'<text class="name" x="132" y="{y + 14}" text-anchor="end">{escape(label[:18])}</text>'
            f'<rect class="s0" x="142" y="{y + 3}" width="{width:.1f}" height="{ROW - 8}"/>'
            f'<text class="tick" x="{150 + width:.1f}" y="{y + 14}">{escape(number(_short(size)))}</text>'
        )
    return Markup("".join([*out, "</svg>"]))


def _head(drawn: ChartData, width: int, height: int, unit: str) -> str:
    told = escape(f"{drawn.chart.title}, {unit}. {drawn.chart.about} The same figures are in the table below.")
    return f'<svg class="chart" viewBox="0 0 {width} {height}" role="img" aria-label="{told}">'


def _legend(names: Sequence[str]) -> Markup:
    if not names:
        return Markup("")
    items = "".join(f'<li><svg viewBox="0 0 10 10" aria-hidden="true"><rect class="s{n}" width="10" height="10" rx="2"/></svg>'
                    f"{escape(name)}</li>" for n, name in enumerate(names))  # fmt: skip
    return Markup(f'<ul class="legend">{items}</ul>')


def _scale(most: float) -> tuple[float, float]:
    """The top of an axis and its step: three to five steps of 1, 2, 2.5 or 5 times a power of ten."""
    if most <= 0:
        return 1.0, 1.0
    rough = most / 4
    power = 10.0 ** floor(log10(rough))
    step = next((size * power for size in (1, 2, 2.5, 5, 10) if size * power >= rough), 10 * power)
    return step * max(1, -(-most // step)), step


def _short(value: float) -> float:
    """A figure with three digits that count, at most two of them behind the point where there are any before it."""
    if value == int(value):
        return int(value)
    return round(value, 2) if abs(value) >= 1 else float(f"{value:.3g}")


def topic_bands(windows: Sequence[dict[str, object]], duration_ms: int) -> list[dict[str, object]]:
    """Topics along a timeline, as `bands`: neighbours with one label are joined."""
    joined = [dict(window) for window in windows[:1]]
    for before, window in pairwise(windows):
        if before["label"] == window["label"]:
            joined[-1]["end_ms"] = window["end_ms"]
        else:
            joined.append(dict(window))
    return bands(joined, duration_ms)


def bands(stretches: Sequence[dict[str, object]], duration_ms: int) -> list[dict[str, object]]:
    """What has a label, `start_ms` and `end_ms` along a timeline: with `x` and `width` of 1000, `series` numbered by label."""
    names: dict[str, int] = {}
    drawn = [{**one, "series": names.setdefault(str(one["label"]), len(names) % MOST_SERIES)} for one in stretches]
    for band in drawn:
        start, end = int(str(band["start_ms"])), int(str(band["end_ms"]))
        band["x"] = round(1000 * start / max(1, duration_ms), 1)
        band["width"] = round(max(2.0, 1000 * (end - start) / max(1, duration_ms)), 1)
    return drawn
