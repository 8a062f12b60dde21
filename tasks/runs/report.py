"""The report of a run: one object that feeds the log, the table on the terminal, Prefect's artifact and the lake."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tasks.errors import NightscribeError
from tasks.lake.commit import status_of
from tasks.machine.hardware import hardware_of
from tasks.records import Recipes, Result, VideoTask
from tasks.runs.costs import ledger_recipe, price_of
from tasks.runs.scan import Scan
from tasks.settings import Settings
from tasks.sources.left_out import LeftOut
from tasks.stages.registry import STAGES


@dataclass
class RunReport:
    """Counts of this run only; grows with its failures, not with its videos."""

    run_id: str
    lake: str
    bucket: str
    started_at: datetime
    scanned: int = 0
    new: int = 0
    changed: int = 0
    metadata: int = 0
    gone: int = 0
    stale: int = 0
    retried: int = 0
    missing: int = 0
    only: tuple[str, ...] = ()  # nothing but these stages was asked for
    unchanged: int = 0
    done: Counter[str] = field(default_factory=Counter)
    media_ms: int = 0
    heard_ms: int = 0
    taken_over: int = 0
    taken_over_ms: int = 0
    words: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    stages: dict[str, dict[str, int]] = field(default_factory=dict)
    failures: list[dict[str, str | None]] = field(default_factory=list)
    lost: int = 0
    warnings: list[str] = field(default_factory=list)
    bad_sidecars: int = 0
    device: str | None = None
    hardware: str | None = None
    recipe: str | None = None
    price_hour: float = 0.0
    currency: str = ""
    search: dict[str, Any] | None = None
    left_out: LeftOut = field(default_factory=LeftOut)

    def found(self, scan: Scan) -> None:
        """Take over what a scan counted."""
        self.scanned, self.unchanged, self.stale = scan.scanned, scan.unchanged, scan.stale
        self.gone = len(scan.gone)
        self.new, self.changed = scan.count("new"), scan.count("changed")
        self.retried, self.metadata = scan.count("retried") + scan.count("failed"), scan.count("metadata")
        self.missing = scan.count("missing")
        self.warnings += scan.warnings
        self.left_out = scan.left_out

    def add(self, results: Sequence[Result]) -> None:
        """Count committed results."""
        for result in results:
            if result.status == "gone":
                continue
            self.done[result.status] += 1
            self.media_ms += result.duration_ms or 0
            if result.status != "failed" and result.work.is_transcribed:
                self.heard_ms += result.duration_ms or 0
            self.words += result.n_words
            if result.work.source_id:
                self.taken_over += 1
                self.taken_over_ms += result.duration_ms or 0
            for part, seconds in result.seconds.items():
                self.seconds[part] = self.seconds.get(part, 0.0) + seconds
            self._add_stages(result)
            if result.status == "failed":
                self.failures.append(
                    {
                        "video_id": result.work.video_id,
                        "key": result.work.key,
                        "stage": None,
                        "reason": result.reason,
                        "error": result.error,
                    }
                )
            elif result.error:
                self.warnings.append(f"{result.work.key}: {result.error}")
            if result.sidecar_error:
                self.bad_sidecars += 1
                self.warnings.append(f"{result.work.key}: {result.sidecar_error}")

    def _add_stages(self, result: Result) -> None:
        """Count what came of each stage."""
        for name, outcome in result.outcomes.items():
            counts = self.stages.setdefault(name, dict.fromkeys(("done", "empty", "failed"), 0))
            counts[status_of(STAGES[name], outcome)] += 1
            self.seconds[name] = self.seconds.get(name, 0.0) + (outcome.seconds or 0.0)
            if outcome.reason is not None:
                self.failures.append(
                    {
                        "video_id": result.work.video_id,
                        "key": result.work.key,
                        "stage": name,
                        "reason": outcome.reason,
                        "error": outcome.error,
                    }
                )

    def lose(self, work: Sequence[VideoTask], error: NightscribeError) -> None:
        """Count videos that got no row because their batch failed."""
        self.lost += len(work)
        for item in work:
            self.failures.append(
                {"video_id": item.video_id, "key": item.key, "stage": None, "reason": error.code, "error": str(error)}
            )

    def searchable(self, synced: dict[str, Any]) -> None:
        """Take over what a sync with Elasticsearch says of itself."""
        self.search = {name: synced[name] for name in ("outcome", "index", "videos", "passages", "deleted", "seconds")}
        if synced["outcome"] != "done":
            self.warnings.append(f"Search is behind the lake: {synced['shortfall']} See: nightscribe sync")

    def not_searchable(self, error: NightscribeError) -> None:
        """Elasticsearch could not follow; the lake has everything."""
        self.search = {"outcome": "failed", "error": str(error)}
        self.warnings.append(f"Search is behind the lake: {error} Then run: nightscribe sync")

    def left_behind(self) -> None:
        """Elasticsearch was not to follow, as was asked for."""
        self.search = {"outcome": "skipped", "next": "nightscribe sync"}

    def spent(self, device: str, recipes: Recipes, settings: Settings) -> None:
        """Note where the run's seconds were spent, by which recipe, and at which price."""
        self.device, self.hardware = device, hardware_of(device)
        self.recipe = ledger_recipe(recipes["emissions"], recipes["words"])
        self.price_hour, self.currency = price_of(settings, device, self.hardware), settings.currency

    @property
    def notes(self) -> list[str]:
        """What the scan left out, a line for each reason; all reasons when it left nothing."""
        return self.left_out.notes(all_of_it=not self.scanned)

    @property
    def cost(self) -> float | None:
        """What the run cost; None without a price."""
        return self.price_hour * self.seconds.get("total", 0.0) / 3600 if self.price_hour else None

    @property
    def cost_per_media_hour(self) -> float | None:
        """None without a price or without media that was listened to."""
        return None if self.cost is None or not self.heard_ms else self.cost / (self.heard_ms / 3_600_000)

    @property
    def exit_code(self) -> int:
        """1 when something failed in this run."""
        behind = self.search is not None and self.search["outcome"] not in ("done", "skipped")
        return 1 if self.failures or self.bad_sidecars or behind else 0

    def as_json(self, *, plan: bool = False) -> dict[str, Any]:
        """The document that `index --json` prints."""
        return {
            "schema": 1,
            "run_id": self.run_id,
            "lake": self.lake,
            "bucket": self.bucket,
            "plan": plan,
            "listed": self.left_out.listed,
            "scanned": self.scanned,
            "new": self.new,
            "changed": self.changed,
            "metadata": self.metadata,
            "gone": self.gone,
            "stale": self.stale,
            "retried": self.retried,
            "missing": self.missing,
            "unchanged": self.unchanged,
            **{status: self.done[status] for status in ("indexed", "no_speech", "no_audio", "failed")},
            "taken_over": self.taken_over,
            "media_ms": self.media_ms,
            "heard_ms": self.heard_ms,
            "taken_over_ms": self.taken_over_ms,
            "words": self.words,
            "stages": self.stages,
            "seconds": {stage: round(seconds, 3) for stage, seconds in self.seconds.items()},
            "device": self.device,
            "hardware": self.hardware,
            "recipe": self.recipe,
            "price_hour": self.price_hour or None,
            "currency": self.currency or None,
            "cost": _rounded(self.cost),
            "cost_per_media_hour": _rounded(self.cost_per_media_hour),
            "failures": self.failures,
            "warnings": self.warnings,
            "left_out": self.left_out.as_json(),
            "search": self.search,
        }

    def row(self, ended_at: datetime, outcome: str) -> dict[str, Any]:
        """The row of `runs`."""
        return {
            "run_id": self.run_id,
            "command": "index",
            "bucket": self.bucket,
            "started_at": self.started_at,
            "ended_at": ended_at,
            "outcome": outcome,
            "report_json": json.dumps(self.as_json()),
        }

    def sentence(self) -> str:
        """The one line that ends a run."""
        said = {
            "done": " Elasticsearch has them." if sum(self.done.values()) or self.gone else "",
            "skipped": " Elasticsearch was left as it is (--no-sync); nightscribe sync brings it up to the lake.",
        }
        return self._sentence() + said.get(self.search["outcome"] if self.search else "", "")

    def _sentence(self) -> str:
        if self.only and not sum(self.done.values()):
            return f"Nothing to do: {_nothing_of(self.only)}"
        if not sum(self.done.values()) and not self.gone:
            due = f" {self.stale} were made by an older recipe: --refresh redoes them." if self.stale else ""
            if not self.scanned:
                n = self.left_out.listed
                return f"Nothing to do: {f'of {n:,} objects none is taken for a video' if n else 'the bucket has no object'}."
            return f"Nothing left to do: {self.unchanged} of {self.scanned} videos are up to date.{due}"
        parts = [f"{self.done[s]} {label}" for s, label in _LABELS if self.done[s]]
        if self.taken_over:
            parts.append(f"{self.taken_over} of them by words of the same content under another name")
        if failed := sum(counts["failed"] for counts in self.stages.values()):
            parts.append(f"{failed} stage{'s' * (failed != 1)} failed, to be tried again")
        if self.gone:
            parts.append(f"{self.gone} gone from the bucket")
        total = self.seconds.get("total", 0.0)
        speed = f", {self.heard_ms / 1000 / total:.1f} times real time" if total and self.heard_ms else ""
        minutes = self.media_ms / 60_000
        hourly = self.cost_per_media_hour
        money = "" if hourly is None else f", {self.cost:.4f} {self.currency}, {hourly:.4f} an hour of media"
        return f"{', '.join(parts)}; {minutes:.1f} minutes of media, {self.words} words in {total:.0f} s{speed}{money}."

    def markdown(self) -> str:
        """The artifact that Prefect shows."""
        lines = [f"# Index of {self.bucket}", "", self.sentence(), "", "| count | |", "| --- | --- |"]
        lines += [
            f"| {name} | {value} |"
            for name, value in self.as_json().items()
            if isinstance(value, int) and name != "schema"
        ]
        if self.device:
            lines += ["", "## Machine time", "", f"On {self.hardware} ({self.device}).", "", "| stage | seconds |"]
            lines += ["| --- | ---: |", *(f"| {stage} | {spent:.1f} |" for stage, spent in self.seconds.items())]
        if self.stages:
            lines += ["", "## Stages", "", "| stage | done | empty | failed |", "| --- | ---: | ---: | ---: |"]
            lines += [f"| {name} | {c['done']} | {c['empty']} | {c['failed']} |" for name, c in self.stages.items()]
        if self.notes:
            lines += ["", "## Left out", "", *(f"- {_cell(note)}" for note in self.notes)]
        if self.failures:
            lines += ["", "## Failures", "", "| key | reason | error |", "| --- | --- | --- |"]
            lines += [f"| {_cell(f['key'])} | {f['reason']} | {_cell(f['error'])} |" for f in self.failures[:200]]
        return "\n".join(lines) + "\n"


_LABELS = (
    ("indexed", "indexed"),
    ("no_speech", "without speech"),
    ("no_audio", "without audio"),
    ("failed", "failed"),
)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def _cell(text: str | None) -> str:
    return (text or "").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def _nothing_of(only: Sequence[str]) -> str:
    """Why no video is due for these stages: one that has not what they are made of is not, until that is asked for as well. Every
    video that is indexed has its transcript."""
    needs = dict.fromkeys(need for name in only for need in STAGES[name].needs if need in STAGES.names)
    before = [need for need in needs if need not in only and STAGES[need].together is None]
    having = f" and has {' and '.join(before)}" if before else ""
    both = f" For both: --stages {','.join([*before, *only])}." if before else ""
    return f"no video that is indexed{having} lacks {' or '.join(only)}, or has an older one.{both}"
