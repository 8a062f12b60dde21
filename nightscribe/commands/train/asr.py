"""`nightscribe train asr`."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Any, Literal

import click
from click.core import ParameterSource

from nightscribe.cli import print_json
from nightscribe.common import json_option
from nightscribe.progress import counting


@click.command("asr")
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Folder of the run; its `best` is the model."
)
@click.option(
    "--base",
    default="scratch",
    show_default=True,
    help="CTC checkpoint or Whisper (folder or hub id), or `scratch`.",
)
@click.option("--init", help="Model that one from scratch begins with, as far as it fits; also of shorter frames.")
@click.option("--validation", type=click.Path(path_type=Path), help="Manifest to judge by; else a share is kept back.")
@click.option("--path-column", default="path", show_default=True, help="Column of the files, relative to MANIFEST.")
@click.option("--text-column", default="text", show_default=True, help="Column of the texts.")
@click.option("--max-clip-s", type=click.FloatRange(min=1), default=20.0, show_default=True, help="Longer: left out.")
@click.option("--learning-rate", type=float, help="Default 1e-4; from scratch 6e-4.")
@click.option("--head-learning-rate", type=float, help="Of the last layer; default the same.")
@click.option(
    "--layer-decay",
    type=click.FloatRange(0.1, 1),
    default=1.0,
    show_default=True,
    help="Learning rate of each layer beside the one above it.",
)
@click.option("--weight-decay", type=float, default=0.005, show_default=True, help="Of AdamW.")
@click.option("--warmup-steps", type=click.IntRange(min=0), help="Default 1000; from scratch 400.")
@click.option(
    "--decay-steps", type=click.IntRange(min=0), help="At the end, with a falling rate. Default all; from scratch 30 %."
)
@click.option("--max-steps", type=click.IntRange(min=1), default=10_000, show_default=True, help="At most.")
@click.option("--batch-size", type=click.IntRange(min=1), help="Clips in a batch; default 4.")
@click.option("--batch-s", type=click.FloatRange(min=1), help="Seconds in a batch instead; from scratch 60.")
@click.option("--validate-every", type=click.IntRange(min=1), default=500, show_default=True, help="Steps.")
@click.option("--patience", type=click.IntRange(min=1), default=10, show_default=True, help="Validations without gain.")
@click.option(
    "--average",
    type=click.IntRange(min=0),
    help="Checkpoints at the end whose mean is kept if it is better; from scratch 5.",
)
@click.option("--half", is_flag=True, help="Keep the best model in half precision.")
@click.option(
    "--precision",
    type=click.Choice(["auto", "fp32", "bf16", "fp16"]),
    default="auto",
    show_default=True,
    help="Arithmetic.",
)
@click.option("--gradient-checkpointing", is_flag=True, help="Less memory, a third slower.")
@click.option("--train-encoder", is_flag=True, help="Train the feature encoder too; it is frozen otherwise.")
@click.option(
    "--freeze-layers",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Lowest layers that stay as they are, and what is below them. They cost no backward pass.",
)
@click.option("--no-augment", is_flag=True, help="No changes of speed, noise and echo.")
@click.option(
    "--intermediate-ctc", type=click.FloatRange(0, 0.9), help="Share of a middle block's loss; from scratch 0.3."
)
@click.option(
    "--consistency",
    type=click.FloatRange(0, 5),
    default=0.0,
    show_default=True,
    help="Hear each clip twice under other masks, and weigh so what the two disagree (0.2); twice the time and memory.",
)
@click.option(
    "--mask-time",
    type=click.FloatRange(0, 0.9),
    help="At most this share of the frames is masked; default the model's own.",
)
@click.option(
    "--mask-bands",
    type=click.IntRange(0, 8),
    help="Bands of frequencies silenced in a clip; default none, and of a Whisper two.",
)
@click.option("--noise", type=click.Path(path_type=Path), help="Folder of recordings to mix in as noise.")
@click.option("--hidden", type=click.IntRange(min=64), default=256, show_default=True, help="Width, from scratch.")
@click.option("--layers", type=click.IntRange(min=1), default=6, show_default=True, help="Blocks, from scratch.")
@click.option(
    "--frame-ms",
    type=click.Choice(["20", "40"]),
    default="40",
    show_default=True,
    help="Sound in a frame, from scratch.",
)
@click.option("--frontend-steps", type=click.IntRange(min=0), default=600, show_default=True, help="From scratch.")
@click.option("--language", default="en", show_default=True, help="Language that numbers in texts are read in.")
@click.option("--seed", type=int, default=0, show_default=True, help="Another one, another run.")
@json_option
def command(
    manifest: Path,
    out: Path,
    base: str,
    init: str | None,
    validation: Path | None,
    path_column: str,
    text_column: str,
    max_clip_s: float,
    learning_rate: float | None,
    head_learning_rate: float | None,
    layer_decay: float,
    weight_decay: float,
    warmup_steps: int | None,
    decay_steps: int | None,
    max_steps: int,
    batch_size: int | None,
    batch_s: float | None,
    validate_every: int,
    patience: int,
    average: int | None,
    half: bool,
    precision: Literal["auto", "fp32", "bf16", "fp16"],
    gradient_checkpointing: bool,
    train_encoder: bool,
    freeze_layers: int,
    no_augment: bool,
    intermediate_ctc: float | None,
    consistency: float,
    mask_time: float | None,
    mask_bands: int | None,
    noise: Path | None,
    hidden: int,
    layers: int,
    frame_ms: str,
    frontend_steps: int,
    language: str,
    seed: int,
    as_json: bool,
) -> int:
    """Train a CTC speech model on MANIFEST (CSV, TSV or Parquet of path and text; sound or video files).

    The model with the best validation is kept in OUT/best, with a card and its curves. Training ends when it no longer
    improves. The same command goes on after an interruption, to the same end. Several GPUs:
    `accelerate launch -m nightscribe train asr ...`.

    \b
    Example:
      nightscribe train asr clips.tsv --base facebook/wav2vec2-base --out models/ours
      nightscribe index ~/videos --models models/ours/best
    """
    from tasks.machine.hardware import is_first_process
    from tasks.training.augment import Augmentation
    from tasks.training.clips import Source
    from tasks.training.fit import SCRATCH, Shape, fit
    from tasks.training.options import Progress, TrainingOptions

    scratch = base == SCRATCH
    if hidden % 64:
        raise click.BadParameter("a multiple of 64", param_hint="--hidden")
    if batch_size and batch_s:
        raise click.UsageError("Either --batch-size or --batch-s.")
    if noise and no_augment:
        raise click.UsageError("Either --noise or --no-augment.")
    options = TrainingOptions(
        learning_rate=learning_rate or (6e-4 if scratch else 1e-4),
        head_learning_rate=head_learning_rate,
        layer_decay=layer_decay,
        weight_decay=weight_decay,
        warmup_steps=(400 if scratch else 1000) if warmup_steps is None else warmup_steps,
        max_steps=max_steps,
        decay_steps=round(0.3 * max_steps) if scratch and decay_steps is None else decay_steps,
        batch_size=batch_size or 4,
        batch_s=batch_s or (60.0 if scratch and not batch_size else None),
        validate_every=validate_every,
        patience=patience,
        seed=seed,
        precision=precision,
        freeze_feature_encoder=not train_encoder,
        freeze_layers=freeze_layers,
        gradient_checkpointing=gradient_checkpointing,
        intermediate_ctc=(0.3 if scratch else 0.0) if intermediate_ctc is None else intermediate_ctc,
        consistency=consistency,
        mask_time=mask_time,
        mask_bands=mask_bands,
        average=(5 if scratch else 0) if average is None else average,
        half=half,
        augmentation=None if no_augment else Augmentation(),
    )
    with (
        counting("clips decoded") as clips,
        counting("convolutions") as convolutions,
        counting("training") as training,
    ):
        scores, first = "", is_first_process()

        def show(progress: Progress) -> None:
            nonlocal scores
            if not first:
                return
            if progress.wer is not None:
                scores = f", validation WER {progress.wer:.1%} CER {progress.cer:.1%}"
                print(f"step {progress.step}: loss {progress.loss:.3f}{scores}", file=sys.stderr, flush=True)
            remark = f"loss {progress.loss:.3f}, {progress.audio_per_s:.0f} s of sound a second{scores}"
            training(progress.step, max_steps, remark)

        summary = fit(
            Source(manifest, path_column, text_column, max_clip_s, language),
            out,
            base=base,
            options=options,
            validation=validation,
            shape=Shape(hidden, layers, frontend_steps, int(frame_ms)),
            init=init,
            noise=noise,
            command=as_given(click.get_current_context()),
            on_clip=clips if first else lambda done, total: None,
            on_frontend=lambda step, unexplained: convolutions(step, frontend_steps, f"unexplained {unexplained:.2f}"),
            on_progress=show,
        )
    if first:
        _tell(summary, out, as_json)
    return 0


def _tell(summary: dict[str, Any], out: Path, as_json: bool) -> None:
    for problem in summary["problems"]:
        print(f"Left out: {problem}", file=sys.stderr)
    if as_json:
        print_json(summary)
        return
    if summary["skipped"]:
        print(f"{summary['skipped']} steps had no finite gradient and changed nothing.", file=sys.stderr)
    if averaged := summary["averaged"]:
        print(f"The average of the last {averaged['checkpoints']} checkpoints: validation WER {averaged['wer']:.1%}")
    print(f"{summary['steps']} steps, best validation WER {summary['best_wer']:.1%}: {out / 'best'}")
    print(f"Use it: nightscribe index BUCKET --models {out / 'best'}")


def as_given(context: click.Context) -> str:
    """The command for a card: what was given, files by their names."""
    words = ["nightscribe", "train", "asr"]
    for parameter in context.command.params:
        name = parameter.name or ""
        if context.get_parameter_source(name) != ParameterSource.COMMANDLINE or name in ("out", "as_json"):
            continue
        value = context.params[name]
        if not isinstance(parameter, click.Argument):
            words.append(parameter.opts[0])
        if isinstance(value, Path):
            words.append(value.name)
        elif value is not True:
            words.append(f"{value:g}" if isinstance(value, float) else str(value))
    return shlex.join(words)
