"""A training run of a speech model from a manifest to a model folder with its card."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from tasks.arrays import Array
from tasks.errors import Misconfigured
from tasks.manifest import NAMED
from tasks.training.asr import Progress, Trainer, TrainingOptions, load_for_training
from tasks.training.cards import card, curves, flat_options, history_table
from tasks.training.clips import ClipStore, decode_clip, open_store
from tasks.training.frontend import teach_frontend
from tasks.training.scratch import small_model, small_processor

SCRATCH = "scratch"
NOISE_S = 6.0


@dataclass(frozen=True)
class Source:
    """Where clips come from: a manifest, its columns, and how long a clip may be."""

    manifest: Path
    path_column: str = "path"
    text_column: str = "text"
    max_clip_s: float = 20.0


@dataclass(frozen=True)
class Shape:
    """A model made from nothing: width, blocks, and steps for its convolutions before any word."""

    hidden: int = 256
    layers: int = 6
    frontend_steps: int = 600


def fit(
    source: Source,
    folder: Path,
    *,
    base: str,
    options: TrainingOptions,
    validation: Path | None = None,
    validation_share: float = 0.02,
    shape: Shape | None = None,
    noise: Path | None = None,
    on_clip: Callable[[int, int], None] = lambda done, total: None,
    on_frontend: Callable[[int, float], None] = lambda step, unexplained: None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> dict[str, Any]:
    """Train `base` (a folder, a hub id, or `scratch`) in `folder`; a run that was killed goes on.

    Afterwards `folder/best` is a model for `--models`, with its card, its curves (`curves.png`) and their table
    (`history.csv`).

    Raises:
        Misconfigured: the manifest or `base` cannot be used, or `folder` holds another run.
    """
    shape = shape or Shape()
    same_run(folder, {"manifest": str(source.manifest.resolve()), "base": base, "seed": options.seed})
    scratch = base == SCRATCH
    if scratch:
        processor = small_processor()
        model: Any = small_model(len(processor.tokenizer), hidden=shape.hidden, layers=shape.layers, seed=options.seed)
    else:
        model, processor = load_for_training(base)
    alphabet = alphabet_of(processor.tokenizer)
    clips = _open(source, folder, alphabet, on_clip)
    if validation:
        # A longer clip than one trains on can still be judged by.
        judged = _open(Source(validation, source.path_column, source.text_column, 60.0), folder, alphabet, on_clip)
        train = clips
    else:
        train, judged = clips.split(validation_share)
        if not len(judged) or not len(train):
            raise Misconfigured(
                f"{len(clips)} clips are too few to keep {validation_share:.0%} back.", next="Give --validation."
            )
    if scratch and shape.frontend_steps and not (folder / "last").exists():
        teach_frontend(model, train, steps=shape.frontend_steps, seed=options.seed, on_step=on_frontend)
    trainer = Trainer(model, processor, train, judged, folder, options, recorded=_recorded(noise))
    summary = trainer.fit(on_progress)
    problems = clips.problems.lines()
    if large := summary["too_large"]:
        problems.append(f"did not fit into memory: {len(large)} ({', '.join(large[:NAMED])})")
    summary |= {"problems": problems, "clips": len(train), "hours": round(train.hours, 2)}
    if trainer.accelerator.is_main_process:
        _finish(folder, summary, source, base, train, judged)
    return summary


def alphabet_of(tokenizer: Any) -> str:
    """The letters that a CTC tokenizer can write."""
    special = set(tokenizer.all_special_tokens) | {tokenizer.word_delimiter_token}
    letters = [token for token in tokenizer.get_vocab() if len(token) == 1 and token not in special]
    if not letters:
        raise Misconfigured("This model's tokens are no single letters.", next="Choose a character CTC model.")
    return "".join(sorted(letters))


def same_run(folder: Path, this: Mapping[str, Any]) -> None:
    """Make `folder` and note what the run in it is of.

    Raises:
        Misconfigured: it holds another run.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "run.json"
    if path.exists() and json.loads(path.read_text(encoding="utf-8")) != this:
        raise Misconfigured(
            f"{folder} holds a run on other data, from another model or seed: {path.read_text(encoding='utf-8').strip()}",
            next="Name another folder with --out.",
        )
    path.write_text(json.dumps(dict(this)) + "\n", encoding="utf-8")


def _open(source: Source, folder: Path, alphabet: str, on_clip: Callable[[int, int], None]) -> ClipStore:
    return open_store(
        source.manifest,
        folder / "clips",
        alphabet=alphabet,
        path_column=source.path_column,
        text_column=source.text_column,
        max_clip_s=source.max_clip_s,
        on_clip=on_clip,
    )


def _recorded(folder: Path | None) -> list[Array]:
    """Recordings to mix in as noise, the first seconds of each; what is silent or unreadable is left out."""
    if folder is None:
        return []
    if not folder.is_dir():
        raise Misconfigured(f"There is no folder {folder} with noise.", next="Name one with --noise, or leave it out.")
    sounds = [
        np.frombuffer(decode_clip(path, NOISE_S), np.int16) for path in sorted(folder.iterdir()) if path.is_file()
    ]
    return [sound for sound in sounds if len(sound) > 16_000 and int(np.abs(sound.astype(np.int32)).max()) > 200]


def _finish(
    folder: Path, summary: Mapping[str, Any], source: Source, base: str, train: ClipStore, judged: ClipStore
) -> None:
    """Curves, their table and the card, beside the best model."""
    best = folder / "best"
    if not best.is_dir():
        return
    history = summary["history"]
    (best / "history.csv").write_text(history_table(history), encoding="utf-8")
    curves(history, best / "curves.png")
    lowest = min(history, key=lambda row: row["wer"])
    made = {
        "from": "random weights" if base == SCRATCH else base,
        "data": f"{source.manifest.name}: {len(train)} clips, {train.hours:.1f} hours",
        "validation": f"{len(judged)} clips, {judged.hours * 60:.0f} minutes",
        "steps": f"{summary['steps']}, the best after {lowest['step']}",
        "validation, greedy": f"WER {lowest['wer']:.1%}, CER {lowest['cer']:.1%}",
        "made": datetime.now(UTC).strftime("%Y-%m-%d"),
    }
    text = card(folder.name, "A CTC speech model.", made, flat_options(summary["options"]), summary["problems"])
    (best / "README.md").write_text(text, encoding="utf-8")
