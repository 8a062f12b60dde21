"""A training run of a speech model from a manifest to a model folder with its card."""

from __future__ import annotations

import hashlib
import json
import math
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from tasks.arrays import Array
from tasks.errors import Misconfigured
from tasks.evaluation.cards import card, curves, evaluations, flat_options, history_table
from tasks.evaluation.manifest import NAMED
from tasks.machine.folders import same_run, write_whole
from tasks.media import clip_sound
from tasks.settings import Settings
from tasks.training.asr import Trainer
from tasks.training.base_model import load_for_training
from tasks.training.clips import SAMPLE_RATE, Source, forget_other_stores, open_store
from tasks.training.frontend import teach_frontend
from tasks.training.options import Progress, TrainingOptions
from tasks.training.scratch import small_model, small_processor
from tasks.training.takeover import Taken, take_over

SCRATCH = "scratch"
NOISE_S = 6.0
LOUD = 200  # of 32768: quieter recordings are silence
# A run may go on with another of these; any other change makes it another run.
CHANGEABLE = (
    "learning_rate", "warmup_steps", "max_steps", "decay_steps", "validate_every", "patience", "precision", "average", "half",
)  # fmt: skip


@dataclass(frozen=True)
class Shape:
    """A model made from nothing: width (a multiple of 64), blocks, 20 or 40 ms a frame.

    `frontend_steps` are for its convolutions, before any word.
    """

    hidden: int = 256
    layers: int = 6
    frontend_steps: int = 600
    frame_ms: int = 40


def fit(
    source: Source,
    folder: Path,
    *,
    base: str,
    options: TrainingOptions,
    validation: Path | None = None,
    validation_share: float = 0.02,
    shape: Shape | None = None,
    init: str | None = None,
    noise: Path | None = None,
    command: str = "",
    on_clip: Callable[[int, int], None] = lambda done, total: None,
    on_frontend: Callable[[int, float], None] = lambda step, unexplained: None,
    on_progress: Callable[[Progress], None] = lambda progress: None,
) -> dict[str, Any]:
    """Train `base` (a folder, a hub id, or `scratch`) in `folder`; a run that was killed goes on.

    With `init`, a model from scratch begins with what fits of that one (`tasks.training.takeover`). `command` is for the card.

    From the first validation on, `folder/best` is a model for `--models`, with its card, its curves (`curves.png`) and
    their table (`history.csv`).

    Raises:
        Misconfigured: the manifest or `base` cannot be used, or `folder` holds another run.
    """
    shape = shape or Shape()
    scratch = base == SCRATCH
    if init and not scratch:
        raise Misconfigured("A model that is named is trained as it is.", next="Leave out --init or --base.")
    this = _identity(source, validation, base, options, shape if scratch else None, init, noise)
    same_run(folder, this, made=("last", "best"))
    taken = Taken(frontend=False, new=())
    if scratch:
        model, processor, taken = from_scratch(shape, options.seed, init)
    else:
        model, processor = load_for_training(base, options.seed)
    alphabet, cache = alphabet_of(processor.tokenizer), folder / "clips"
    clips = open_store(source, cache, alphabet=alphabet, on_clip=on_clip)
    problems = clips.problems.lines()
    if validation:
        # A longer clip than one trains on can still be judged by.
        judged = open_store(
            replace(source, manifest=validation, max_clip_s=60.0), cache, alphabet=alphabet, on_clip=on_clip
        )
        train = clips
        problems += [f"validation, {line}" for line in judged.problems.lines()]
    else:
        train, judged = clips.split(validation_share)
    forget_other_stores(cache, [clips, judged])
    if not len(judged) or not len(train):
        raise Misconfigured(
            f"{len(clips)} clips are too few to keep {validation_share:.0%} back.", next="Give --validation."
        )
    if scratch and shape.frontend_steps and not taken.frontend and not (folder / "last").exists():
        teach_frontend(model, train, steps=shape.frontend_steps, seed=options.seed, on_step=on_frontend)
    trainer = Trainer(model, processor, train, judged, folder, options, recorded=_recorded(noise), trained=taken.new)

    def summarised() -> dict[str, Any]:
        summary = trainer.summary()
        large = summary["too_large"]
        left = [f"did not fit into memory: {len(large)} ({', '.join(large[:NAMED])})"] if large else []
        return {**summary, "problems": [*problems, *left], "clips": len(train), "hours": round(train.hours, 2)}

    def told() -> None:
        if trainer.accelerator.is_main_process:
            made = {
                "architecture": _architecture(trainer.accelerator.unwrap_model(trainer.model), options.half),
                "from": init or ("random weights" if scratch else base),
                "command": f"`{command}`" if command else "",
                "data": f"{source.manifest.name}: {len(train)} clips, {train.hours:.1f} hours",
                "validation": f"{len(judged)} clips, {judged.hours * 60:.0f} minutes",
            }
            _write_card(folder, summarised(), made)

    def noted(progress: Progress) -> None:
        if progress.wer is not None:
            told()
        on_progress(progress)

    trainer.fit(noted)
    if not _told(folder, summarised()):  # killed after the last step
        told()
    return summarised()


def from_scratch(shape: Shape, seed: int, init: str | None = None) -> tuple[Any, Any, Taken]:
    """Model and processor of a shape, and what the model has of `init`.

    Raises:
        Misconfigured: nothing of `init` fits.
    """
    processor = small_processor()
    model = small_model(
        len(processor.tokenizer), hidden=shape.hidden, layers=shape.layers, frame_ms=shape.frame_ms, seed=seed
    )
    if init is None:
        return model, processor, Taken(frontend=False, new=())
    other, others = load_for_training(init)
    taken = take_over(model, processor.tokenizer.get_vocab(), other, others.tokenizer.get_vocab(), init)
    return model, processor, taken


def _identity(
    source: Source,
    validation: Path | None,
    base: str,
    options: TrainingOptions,
    shape: Shape | None,
    init: str | None,
    noise: Path | None,
) -> dict[str, Any]:
    """All that decides what a step of this run is."""
    kept = {name: value for name, value in asdict(options).items() if name not in CHANGEABLE}
    if not options.freeze_layers:  # runs from before there was such a thing go on
        del kept["freeze_layers"]
    clips = {**asdict(source), "manifest": str(source.manifest.resolve()), "manifest_sha256": _digest(source.manifest)}
    judged = {"validation": str(validation.resolve()), "validation_sha256": _digest(validation)} if validation else {}
    whole = {**clips, **judged, "base": base, "options": kept, "shape": asdict(shape) if shape else None}
    whole |= {"init": init} if init else {}
    whole |= {"noise": [[str(path.relative_to(noise)), path.stat().st_size] for path in _files(noise)]} if noise else {}
    compared: dict[str, Any] = json.loads(json.dumps(whole))
    return compared


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _digest(path: Path) -> str | None:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None


def alphabet_of(tokenizer: Any) -> str:
    """The letters that a CTC tokenizer can write.

    Raises:
        Misconfigured: it writes longer pieces.
    """
    special = {*tokenizer.all_special_tokens, getattr(tokenizer, "word_delimiter_token", None)}
    tokens = [token for token in tokenizer.get_vocab() if token not in special]
    letters = [token for token in tokens if len(token) == 1]
    if not letters or len(letters) < len(tokens) / 2:
        raise Misconfigured("This model's tokens are no single letters.", next="Choose a character CTC model.")
    return "".join(sorted(letters))


def _recorded(folder: Path | None) -> list[Array]:
    """Recordings to mix in as noise, the first seconds of each; what is silent or unreadable is left out.

    Raises:
        Misconfigured: there is none.
    """
    if folder is None:
        return []
    sounds = []
    with tempfile.TemporaryDirectory() as scratch:
        for path in _files(folder):
            target = Path(scratch, "noise.pcm")
            if not isinstance(clip_sound(path, target, Settings(scratch_free_gb=0.0)), str):
                sounds.append(np.fromfile(target, np.int16, count=int(NOISE_S * SAMPLE_RATE)))
    loud = [sound for sound in sounds if len(sound) > SAMPLE_RATE and int(np.abs(sound.astype(np.int32)).max()) > LOUD]
    if not loud:
        raise Misconfigured(f"{folder} has no recording that can be used as noise.", next="Leave --noise out.")
    return loud


def _architecture(model: Any, half: bool) -> str:
    """What a card says of a model."""
    strides = getattr(model.config, "conv_stride", None)
    frame = f", a frame every {math.prod(strides) * 1000 / SAMPLE_RATE:g} ms" if strides else ""
    kept = ", half precision" if half else ""
    return f"{type(model).__name__}, {sum(p.numel() for p in model.parameters()) / 1e6:.1f} million parameters{frame}{kept}"


def _write_card(folder: Path, summary: Mapping[str, Any], made: Mapping[str, str]) -> None:
    """Curves, their table and, last of them, the card, beside the best model."""
    best = folder / "best"
    if not best.is_dir():
        return
    history = summary["history"]
    write_whole(best / "history.csv", history_table(history))
    write_whole(best / "curves.png", curves(history))
    which, kept = _kept(summary), summary["kept"]
    rows = {
        **{key: value for key, value in made.items() if value},
        "steps": f"{summary['steps']}, {which}",
        "validation, greedy": f"WER {kept['wer']:.1%}, CER {kept['cer']:.1%}",
        "made": datetime.now(UTC).strftime("%Y-%m-%d"),
    }
    text = card(folder.name, "A CTC speech model.", rows, flat_options(summary["options"]), summary["problems"])
    path = best / "README.md"
    old = path.read_text(encoding="utf-8") if path.exists() else ""
    write_whole(path, text + (evaluations(old) if f", {which}\n" in old else ""))


def _told(folder: Path, summary: Mapping[str, Any]) -> bool:
    """Whether the card is of the whole run; then it stays, with the tables that `evaluate --card` put there."""
    path = folder / "best" / "README.md"
    steps = f"**steps**: {summary['steps']}, {_kept(summary)}\n"
    return path.exists() and steps in path.read_text(encoding="utf-8")


def _kept(summary: Mapping[str, Any]) -> str:
    """Which weights of a run were kept, in words."""
    kept = summary["kept"]
    if kept["checkpoints"] == 1:
        return f"the best after {kept['after']}"
    return f"the average of {kept['checkpoints']} checkpoints, the last ones up to {kept['after']}"
