"""The card of a model of pairs, beside its curves."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from tasks.evaluation.cards import card, curves, flat_options, history_table
from tasks.evaluation.retrieval import names_of
from tasks.machine.folders import write_whole
from tasks.training.pairs.loop import AnyTrainer


def write_card(
    trainer: AnyTrainer,
    architecture: str,
    manifest: Path,
    command: str,
    problems: Sequence[str],
    *,
    trained: int,
    judged: int,
) -> None:
    """Into the folder of the best model; `trained` and `judged` are how many of the others there were."""
    best, summary, kind = trainer.folder / "best", trainer.summary(), trainer.kind
    forth, back = names_of(kind)
    shown = {f"{forth}_10": f"a {kind} for a text, R@10", f"{back}_10": f"a text for a {kind}, R@10"}
    write_whole(best / "history.csv", history_table(summary["history"]))
    write_whole(best / "curves.png", curves(summary["history"], loss="loss", shares=shown, what="found, %"))
    kept = summary["kept"]
    rows = {
        "architecture": architecture,
        **({"command": f"`{command}`"} if command else {}),
        "data": f"{manifest.name}: {trained} {kind}s",
        "validation": f"{judged} {kind}s",
        "steps": f"{summary['steps']}, the best after {kept['step']}",
        "validation, R@10": f"{kept[f'{forth}_10']:.1%} of texts, {kept[f'{back}_10']:.1%} of {kind}s",
        "made": datetime.now(UTC).strftime("%Y-%m-%d"),
    }
    text = card(trainer.folder.name, f"A model of {kind}s and texts.", rows, flat_options(summary["options"]), problems)
    write_whole(best / "README.md", text)
