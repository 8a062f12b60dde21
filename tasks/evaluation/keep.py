"""Reports of evaluations: as rows of the lake, as a picture, and in a model's card."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tasks.evaluation.cards import with_evaluation
from tasks.evaluation.pictures import table as pictures_table
from tasks.evaluation.retrieval import names_of
from tasks.evaluation.sounds import table as sounds_table
from tasks.lake.create import create_lake
from tasks.lake.store import Lake
from tasks.machine.folders import write_whole


def rows(kind: str, report: Mapping[str, Any], manifest: Path) -> list[dict[str, Any]]:
    """Rows of the table `evaluations`: the whole set first, then one for each group."""
    models = report["models"]
    common = {
        "evaluation_id": uuid.uuid4().hex,
        "kind": kind,
        "evaluated_at": datetime.now(UTC),
        "manifest": str(manifest),
        "manifest_sha256": hashlib.sha256(manifest.read_bytes()).hexdigest(),
        "model": next(
            (models[role] for role in ("acoustic", "topics", "sounds", "pictures") if models.get(role)), None
        ),
        "language_model": models.get("lm"),
        "recipe": report.get("recipe"),
    }
    whole = {**common, **_figures(report), "report_json": json.dumps(report, ensure_ascii=False)}
    parts = {"text": report["variants"]} if kind == "topics" else report["groups"]
    return [
        whole,
        *(
            {**common, "group_column": column, "group_value": value, **_figures(scores)}
            for column, values in parts.items()
            for value, scores in values.items()
        ),
    ]


def _figures(scores: Mapping[str, Any]) -> dict[str, Any]:
    kept = {
        name: scores.get(name)
        for name in ("n", "audio_ms", "wer", "greedy_wer", "cer", "accuracy", "macro_f1", "baseline_accuracy")
    }
    for name in ("wer", "accuracy"):
        low, high = scores.get(f"{name}_ci95") or (None, None)
        kept |= {f"{name}_low": low, f"{name}_high": high}
    return kept


def record(lake: Lake, kind: str, report: Mapping[str, Any], manifest: Path) -> str:
    """Append an evaluation to the lake, making the lake when there is none; returns its id.

    Raises:
        LakeNotWritable, StorageBusy.
    """
    made = rows(kind, report, manifest)
    create_lake(lake)
    identity = str(made[0]["evaluation_id"])
    lake.append("evaluations", made, batch_id=f"evaluation-{identity}")
    return identity


def markdown(kind: str, report: Mapping[str, Any]) -> str:
    """The report as a table."""
    tables = {
        "asr": _asr_table,
        "topics": _topics_table,
        "search": _search_table,
        "sounds": sounds_table,
        "pictures": pictures_table,
    }
    return tables[kind](report)


def _entries(report: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """The whole set and then each group, with their scores."""
    groups = [(value, scores) for values in report["groups"].values() for value, scores in values.items()]
    return [("all", report), *groups]


def _asr_table(report: Mapping[str, Any]) -> str:
    lines = [
        "| clips | n | minutes | greedy | with beam search | 95 % | CER |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, s in _entries(report):
        low, high = s["wer_ci95"]
        lines.append(
            f"| {name} | {s['n']} | {s['audio_ms'] / 60_000:.1f} | {s['greedy_wer']:.1%} | {s['wer']:.1%} "
            f"| {low:.1%} to {high:.1%} | {s['cer']:.1%} |"
        )
    return "\n".join(lines)


def _search_table(report: Mapping[str, Any]) -> str:
    lines = [
        f"| {report['n']} questions to {report['recordings']} recordings | first | first 3 | first 10 |",
        "| --- | ---: | ---: | ---: |",
    ]
    for name, shares in {**report["ways"], "with both, of the true texts": report["of_true_texts"]}.items():
        lines.append(f"| {name} | {' | '.join(f'{share:.1%}' for share in shares.values())} |")
    return "\n".join(lines)


_VARIANTS = {
    "written": "as written, lower case",
    "speech": "as speech: no punctuation, numbers as words",
    "speech_errors": "as speech, one word in five wrong",
}


def _topics_table(report: Mapping[str, Any]) -> str:
    lines = ["| texts | accuracy | 95 % | macro F1 | TF-IDF and linear |", "| --- | ---: | ---: | ---: | ---: |"]
    for name, s in report["variants"].items():
        low, high = s["accuracy_ci95"]
        linear = "" if s["baseline_accuracy"] is None else f"{s['baseline_accuracy']:.1%}"
        lines.append(
            f"| {_VARIANTS[name]} | {s['accuracy']:.1%} | {low:.1%} to {high:.1%} | {s['macro_f1']:.3f} | {linear} |"
        )
    return "\n".join(lines)


def write_card(card: Path, name: str, text: str) -> None:
    """Put `text` between the card's markers for `name`, or at its end."""
    write_whole(card, with_evaluation(card.read_text(encoding="utf-8"), name, text))


def draw(kind: str, report: Mapping[str, Any], target: Path) -> None:
    """A picture of the report (PNG or SVG by the name's ending): error by group, or the confusion matrix."""
    from matplotlib.figure import Figure

    height = max(2.5, 1.5 + 0.35 * len(_entries(report))) if kind == "asr" else 5
    figure = Figure(figsize=(8, height), layout="constrained")
    axes = figure.subplots()
    if kind == "asr":
        _draw_errors(axes, report)
    elif kind == "search":
        ways = {**report["ways"], "with both, of the true texts": report["of_true_texts"]}
        _draw_shares(axes, ways, "questions whose recording is found, %")
    elif kind in ("sounds", "pictures"):
        one = kind.removesuffix("s")
        forth, back = names_of(one)
        ways = {f"a {one} for a text": report[forth], f"a text for a {one}": report[back]}
        named = {name: {f"first {k}": share for k, share in shares.items()} for name, shares in ways.items()}
        _draw_shares(axes, named, "found, %")
    else:
        _draw_confusion(axes, report)
    figure.savefig(target, dpi=120)


def _draw_errors(axes: Any, report: Mapping[str, Any]) -> None:
    entries = _entries(report)[::-1]
    names = [f"{name} ({s['n']})" for name, s in entries]
    rates = [100 * s["wer"] for _, s in entries]
    low = [rate - 100 * s["wer_ci95"][0] for rate, (_, s) in zip(rates, entries, strict=True)]
    high = [100 * s["wer_ci95"][1] - rate for rate, (_, s) in zip(rates, entries, strict=True)]
    axes.barh(names, rates, color="#3b6ea5", label="with beam search", xerr=[low, high], ecolor="#888888")
    axes.plot([100 * s["greedy_wer"] for _, s in entries], names, "o", color="#c4622d", label="greedy")
    axes.set_xlabel("words wrong, %, with 95 % interval")
    axes.set_xlim(left=0)
    axes.legend(frameon=False, ncols=2, loc="lower left", bbox_to_anchor=(0, 1))
    axes.spines[["top", "right"]].set_visible(False)


def _draw_shares(axes: Any, ways: Mapping[str, Mapping[str, float]], what: str) -> None:
    for name, shares in ways.items():
        axes.plot([label.replace("_", " ") for label in shares], [100 * s for s in shares.values()], "o-", label=name)
    axes.set_ylabel(what)
    axes.set_ylim(0, 100)
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1))
    axes.spines[["top", "right"]].set_visible(False)


def _draw_confusion(axes: Any, report: Mapping[str, Any]) -> None:
    labels, counts = report["labels"], report["confusion"]
    axes.imshow(counts, cmap="Blues")
    axes.set_xticks(range(len(labels)), labels, rotation=30, ha="right")
    axes.set_yticks(range(len(labels)), labels)
    axes.set_xlabel("said")
    axes.set_ylabel("true")
    most = max(map(max, counts))
    for i, row in enumerate(counts):
        for j, n in enumerate(row):
            axes.text(j, i, str(n), ha="center", va="center", color="white" if n > most / 2 else "black")
