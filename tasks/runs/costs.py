"""The cost ledger: machine time by stage and device, as the archive's own runs measured it, and what work to come will cost.

Every stage run keeps its seconds, its device and its machine's hardware; every report of a run of `index` keeps the sum of
these, the time of the whole run, and what that cost at the prices of that day. An estimate divides the machine time of
runs by the media they heard. Start and end of a run are part of its time, so that many small runs cost more than one.
"""

from __future__ import annotations

import fnmatch
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from tasks.settings import Settings
from tasks.stages.registry import STAGES

if TYPE_CHECKING:
    import duckdb

PARTS = ("fetch", "audio", *STAGES.names)  # of the time of a visit
FORMER = {"emissions": "model", "words": "decode"}  # what reports of before stages called them
RUNS_JUDGED = 200  # the newest; older ones were made by other machines and models
ENOUGH_S = 60.0  # seconds of media, below which a rate is the cost of starting and nothing else
DEFAULT_SPEED = 10.0
BYTES_AN_HOUR = 1e9


@dataclass(frozen=True)
class Rate:
    """What one kind of device has cost so far. `stages` are seconds of each stage; stages overlap, `machine_s` does not."""

    device: str
    hardware: str | None
    runs: int
    videos: int
    media_s: float
    machine_s: float
    stages: Mapping[str, float]
    price_hour: float
    recipe: str | None = None  # acoustic and decode recipe of the runs, none where they differ or do not say

    @property
    def speed(self) -> float:
        """Seconds of media a second."""
        return self.media_s / self.machine_s if self.machine_s else 0.0

    @property
    def cost(self) -> float:
        return self.machine_s / 3600 * self.price_hour

    def as_json(self) -> dict[str, Any]:
        """One entry of `costs.devices` of `status --json`."""
        hours = self.media_s / 3600
        return {
            "device": self.device,
            "hardware": self.hardware,
            "runs": self.runs,
            "videos": self.videos,
            "media_hours": round(hours, 4),
            "machine_hours": round(self.machine_s / 3600, 4),
            "seconds_per_media_hour": {
                stage: round(spent / hours, 2) for stage, spent in {**self.stages, "total": self.machine_s}.items()
            }
            if hours
            else None,
            "price_hour": self.price_hour or None,
            "cost": round(self.cost, 6) if self.price_hour else None,
            "cost_per_media_hour": round(self.cost / hours, 6) if hours and self.price_hour else None,
        }


@dataclass(frozen=True)
class Estimate:
    """What work will cost. `machine_hours` is of one machine after the other; n machines take an n-th of it."""

    media_hours: float
    machine_hours: float
    seconds_per_media_hour: float
    device: str | None
    hardware: str | None
    price_hour: float | None
    cost: float | None
    cost_per_media_hour: float | None
    currency: str
    measured: bool
    assumptions: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        return {**asdict(self), "assumptions": list(self.assumptions)}

    def sentence(self) -> str:
        """`about 3.20 machine hours, 1.28 USD.`"""
        money = "" if self.cost is None else f", {self.cost:.2f} {self.currency}"
        return f"about {self.machine_hours:.2f} machine hours{money}."


def price_of(settings: Settings, device: str | None, hardware: str | None = None) -> float:
    """Price of a machine hour: the first entry of `prices` whose name fits hardware or device, else `price_machine_hour`.

    Names are patterns without regard to case: `*H100*`, `cuda`, `cpu`. `cuda:1` is `cuda` too.
    """
    names = [name.lower() for name in (hardware, device, (device or "").split(":")[0]) if name]
    for pattern, price in settings.prices.items():
        if any(fnmatch.fnmatchcase(name, pattern.lower()) for name in names):
            return price
    return settings.price_machine_hour


def rates(
    connection: duckdb.DuckDBPyConnection, settings: Settings, *, newest: int = RUNS_JUDGED, heard: bool = False
) -> list[Rate]:
    """Rates of the newest runs of `index` by device, hardware and recipe; what heard most media comes first.

    With `heard`, without runs that listened to nothing.
    """
    sql = "SELECT report_json FROM runs WHERE command = 'index' ORDER BY started_at DESC"
    reports = _reports(connection.execute(sql))
    judged = itertools.islice((r for r in reports if not heard or heard_s(r)), newest)
    sums: dict[tuple[str, str | None, str | None], dict[str, Any]] = {}
    for report in judged:
        # Runs before the ledger was kept do not say where they ran.
        key = report.get("device") or "unknown", report.get("hardware"), report.get("recipe")
        sum_ = sums.setdefault(key, {"runs": 0, "videos": 0, "media": 0.0, "machine": 0.0, "stages": {}})
        seconds = report.get("seconds", {})
        sum_["runs"] += 1
        sum_["videos"] += sum(report.get(status, 0) for status in ("indexed", "no_speech", "no_audio", "failed"))
        sum_["media"] += heard_s(report)
        sum_["machine"] += seconds.get("total", 0.0)
        for part in PARTS:
            spent = seconds.get(part, seconds.get(FORMER.get(part, part), 0.0))
            sum_["stages"][part] = sum_["stages"].get(part, 0.0) + spent
    found = [
        Rate(
            device,
            hardware,
            s["runs"],
            s["videos"],
            s["media"],
            s["machine"],
            {stage: round(spent, 3) for stage, spent in s["stages"].items()},
            price_of(settings, device, hardware),
            recipe,
        )
        for (device, hardware, recipe), s in sums.items()
    ]
    return sorted(found, key=lambda rate: (-rate.media_s, rate.device, rate.hardware or "", rate.recipe or ""))


def _reports(found: duckdb.DuckDBPyConnection) -> Iterator[dict[str, Any]]:
    while rows := found.fetchmany(RUNS_JUDGED):
        yield from (json.loads(text) for (text,) in rows)


def heard_s(report: Mapping[str, Any]) -> float:
    """Seconds of media that a run listened to, by its report. What it only took over, or gave new cues, topics or metadata,
    cost next to nothing, and what failed came to nothing: neither has a part in what an hour of media costs."""
    before = report.get("media_ms", 0) - report.get("taken_over_ms", 0)  # reports that do not say
    return float(report.get("heard_ms", before)) / 1000


def ledger(connection: duckdb.DuckDBPyConnection, settings: Settings) -> dict[str, Any]:
    """`costs` of `status --json`: the newest runs by device, and what an hour of media cost them all together."""
    by_device: dict[tuple[str, str | None], list[Rate]] = {}
    for rate in rates(connection, settings):
        by_device.setdefault((rate.device, rate.hardware), []).append(rate)
    devices = [_merged(several) for several in by_device.values()]
    hours = sum(rate.media_s for rate in devices) / 3600
    cost = sum(rate.cost for rate in devices)
    priced = sum(rate.media_s for rate in devices if rate.price_hour) / 3600
    return {
        "currency": settings.currency,
        "runs": sum(rate.runs for rate in devices),
        "media_hours": round(hours, 4),
        "machine_hours": round(sum(rate.machine_s for rate in devices) / 3600, 4),
        "cost": round(cost, 6) if any(rate.price_hour for rate in devices) else None,
        "cost_per_media_hour": round(cost / priced, 6) if priced else None,
        "devices": [rate.as_json() for rate in devices],
    }


def estimate(
    connection: duckdb.DuckDBPyConnection | None,
    settings: Settings,
    *,
    media_hours: float,
    recipe: str | None = None,
    device: str | None = None,
) -> Estimate:
    """What so many hours of new media will cost, by what the runs of this lake have measured.

    Args:
        connection: one with the lake's views; None where there is no lake yet.
        recipe: `ledger_recipe(...)` of the models to be used; runs with it are preferred.
        device: `cpu`, `cuda`, or a pattern for hardware; default is where most of the media was heard.
    """
    known = [] if connection is None else rates(connection, settings, heard=True)
    rate, how = _chosen(known, recipe, device)
    if rate is None:
        speed, kind, hardware = DEFAULT_SPEED, device, None
        assumption = f"Speed: {DEFAULT_SPEED:g} times real time, a guess until this lake has seen a run."
    else:
        speed, kind, hardware = rate.speed, rate.device, rate.hardware
        where = hardware or kind
        assumption = (
            f"Speed: {speed:.1f} times real time, as {rate.runs} {'run' if rate.runs == 1 else 'runs'} of this lake "
            f"with {rate.media_s / 3600:.2f} hours of media had on {where}, start and end included{how}."
        )
    price = price_of(settings, kind, hardware)
    hours = media_hours / speed
    money = (
        f"Price: {price:g} {settings.currency} for a machine hour."
        if price
        else "Price: not known; set prices or price_machine_hour."
    )
    return Estimate(
        media_hours=round(media_hours, 4),
        machine_hours=round(hours, 4),
        seconds_per_media_hour=round(3600 / speed, 2),
        device=kind,
        hardware=hardware,
        price_hour=price or None,
        cost=round(hours * price, 6) if price else None,
        cost_per_media_hour=round(price / speed, 6) if price else None,
        currency=settings.currency,
        measured=rate is not None,
        assumptions=(assumption, money),
    )


def media_hours(connection: duckdb.DuckDBPyConnection | None, objects: Iterable[tuple[str, int]]) -> tuple[float, str]:
    """Hours of media in objects (key, bytes), by what the videos of this lake need for an hour, by extension where it is
    known; and the assumption as a sentence. Nothing is read from the bucket."""
    sizes: dict[str, int] = {}
    for key, size in objects:
        extension = PurePosixPath(key).suffix.lower()
        sizes[extension] = sizes.get(extension, 0) + size
    total = sum(sizes.values())
    known: dict[str, tuple[int, float, float]] = {}
    if connection is not None:
        rows = connection.execute(
            "SELECT lower(regexp_extract(key, '\\.[^./]*$')), count(*), sum(size_bytes), sum(duration_ms) / 1000 FROM videos "
            "WHERE duration_ms > 0 AND size_bytes > 0 AND status IN ('indexed', 'no_speech') GROUP BY ALL"
        ).fetchall()
        known = {extension: (n, float(size), float(seconds)) for extension, n, size, seconds in rows}
    everything = tuple(sum(column) for column in zip(*known.values(), strict=True)) if known else None
    if everything is None:
        return total / BYTES_AN_HOUR, "Length: 1 GB an hour, as this lake has no video yet."
    hours = 0.0
    for extension, size in sizes.items():
        _, bytes_, seconds = known.get(extension, everything)
        hours += size * seconds / bytes_ / 3600
    return (
        hours,
        f"Length: by size, as in this lake: {everything[0]:.0f} videos, those of the same extension where there are some.",
    )


def _chosen(known: list[Rate], recipe: str | None, device: str | None) -> tuple[Rate | None, str]:
    """The rate to go by: of the same models if they ran, else of all; and what to say where models differ."""
    if device is not None:
        wanted = device.lower()
        known = [
            rate
            for rate in known
            if any(
                fnmatch.fnmatchcase(n.lower(), wanted)
                for n in (rate.device, rate.device.split(":")[0], rate.hardware or "")
            )
        ]
    same = [rate for rate in known if recipe is not None and rate.recipe == recipe]
    for rates_, how in (
        (same, ""),
        (known, ", with other models or settings" if recipe is not None and not same else ""),
    ):
        by_device: dict[tuple[str, str | None], list[Rate]] = {}
        for rate in rates_:
            by_device.setdefault((rate.device, rate.hardware), []).append(rate)
        enough = [m for m in map(_merged, by_device.values()) if m.media_s >= ENOUGH_S and m.machine_s > 0]
        if enough:
            return max(enough, key=lambda rate: rate.media_s), how
    return None, ""


def _merged(several: list[Rate]) -> Rate:
    """Rates of one device as one."""
    first = several[0]
    recipes = {rate.recipe for rate in several}
    return Rate(
        first.device,
        first.hardware,
        sum(rate.runs for rate in several),
        sum(rate.videos for rate in several),
        sum(rate.media_s for rate in several),
        sum(rate.machine_s for rate in several),
        {part: sum(rate.stages.get(part, 0.0) for rate in several) for part in PARTS},
        first.price_hour,
        recipes.pop() if len(recipes) == 1 else None,
    )


def ledger_recipe(acoustic: str, decode: str) -> str:
    """The part of a recipe that machine time follows."""
    return f"{acoustic}/{decode}"
