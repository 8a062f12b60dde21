"""A training run of a model of pictures and texts, from a manifest to a model folder with its card."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoImageProcessor, AutoModel, AutoTokenizer, CLIPConfig, CLIPImageProcessor, CLIPModel

from tasks.errors import Misconfigured, first_line
from tasks.evaluation.captions import opens, read_captions
from tasks.evaluation.manifest import Problems
from tasks.machine.folders import same_run
from tasks.models.load import quiet_transformers
from tasks.models.pins import from_hub
from tasks.training.pairs.card import write_card
from tasks.training.pairs.loop import PairProgress, digest
from tasks.training.pairs.parts import Processor, kept_back
from tasks.training.pairs.words import words_tokenizer
from tasks.training.pictures.trainer import Pictures, PictureTrainer, PictureTraining

VOCABULARY = 4000


@dataclass(frozen=True)
class PictureShape:
    """A CLIP that is made: sides of a picture and of a patch in pixels, width and blocks for pictures and for texts, the size of the
    space. Pictures are made square, whole."""

    side: int = 224
    patch: int = 32
    hidden: int = 512
    layers: int = 8
    text_hidden: int = 256
    text_layers: int = 4
    projection: int = 256


def fit_pictures(
    manifest: Path,
    folder: Path,
    *,
    options: PictureTraining,
    shape: PictureShape,
    base: str | None = None,
    validation: Path | None = None,
    validation_share: float = 0.1,
    path_column: str = "path",
    caption_columns: Sequence[str] = ("caption",),
    command: str = "",
    on_progress: Callable[[PairProgress], None] = lambda progress: None,
) -> dict[str, Any]:
    """Train in `folder`, on the pairs of a manifest; a run that was killed goes on. With `base`, a dual encoder goes on from what it
    knows.

    From the first validation on, `folder/best` is a model for a set's `pictures`.

    Raises:
        Misconfigured: the manifest or a model cannot be used, or `folder` holds another run.
    """
    quiet_transformers()
    this = {
        "manifest": digest(manifest),
        "validation": digest(validation) if validation else validation_share,
        "columns": [path_column, *caption_columns],
        "base": base,
        "shape": None if base else asdict(shape),
        "options": {name: value for name, value in asdict(options).items() if name not in ("max_steps", "precision")},
    }
    same_run(folder, json.loads(json.dumps(this)), made=("last", "best"))
    problems = Problems()
    columns = {"path_column": path_column, "caption_columns": caption_columns}
    whole = read_pictures(manifest, problems, **columns)  # type: ignore[arg-type]
    judged = read_pictures(validation, problems, **columns) if validation else None  # type: ignore[arg-type]
    train, judged = (whole, judged) if judged else _split(whole, validation_share)
    if len(train) < 2 or not len(judged):
        raise Misconfigured(f"{len(whole)} pictures are too few to keep some back.", next="Give --validation, or more.")
    torch.manual_seed(options.seed)
    model, processor = _loaded(base) if base else _made(shape, whole)
    trainer = PictureTrainer(model, processor, train, judged, folder, options)

    def noted(progress: PairProgress) -> None:
        if progress.recall is not None:
            name = f"{type(model).__name__}, {sum(p.numel() for p in model.parameters()) / 1e6:.1f} million parameters"
            write_card(trainer, name, manifest, command, problems.lines(), trained=len(train), judged=len(judged))
        on_progress(progress)

    summary = trainer.fit(noted)
    return {**summary, "pictures": len(train), "problems": problems.lines()}


def read_pictures(manifest: Path, problems: Problems, *, path_column: str, caption_columns: Sequence[str]) -> Pictures:
    """The pictures of a manifest that can be opened.

    Raises:
        Misconfigured: the manifest cannot be read, or none of its pictures can.
    """
    rows = read_captions(manifest, problems, path_column=path_column, caption_columns=caption_columns)
    kept = [one for one in rows if opens(one.path, problems)]
    if not kept:
        raise Misconfigured(f"{manifest} has no picture that can be read.", next="See that its paths are right.")
    return Pictures(tuple(one.path for one in kept), tuple(one.captions for one in kept))


def _split(whole: Pictures, share: float) -> tuple[Pictures, Pictures]:
    """To train on, and to judge by."""
    back = kept_back([file.name for file in whole.files], share)

    def part(chosen: Sequence[int]) -> Pictures:
        return Pictures(tuple(whole.files[n] for n in chosen), tuple(whole.captions[n] for n in chosen))

    return part([n for n in range(len(whole)) if n not in back]), part(sorted(back))


def _made(shape: PictureShape, pictures: Pictures) -> tuple[CLIPModel, Processor]:
    """A CLIP of random weights, with the words of the captions."""
    tokenizer = words_tokenizer((caption for said in pictures.captions for caption in said), VOCABULARY)
    text = {
        "vocab_size": len(tokenizer), "hidden_size": shape.text_hidden, "intermediate_size": 4 * shape.text_hidden,
        "num_hidden_layers": shape.text_layers, "num_attention_heads": max(1, shape.text_hidden // 64),
        "max_position_embeddings": tokenizer.model_max_length, "pad_token_id": tokenizer.pad_token_id,
        "bos_token_id": tokenizer.cls_token_id, "eos_token_id": tokenizer.sep_token_id,
    }  # fmt: skip
    vision = {
        "hidden_size": shape.hidden, "intermediate_size": 4 * shape.hidden, "num_hidden_layers": shape.layers,
        "num_attention_heads": max(1, shape.hidden // 64), "image_size": shape.side, "patch_size": shape.patch,
    }  # fmt: skip
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=shape.projection))
    square = CLIPImageProcessor(size={"height": shape.side, "width": shape.side}, do_center_crop=False)
    return model, Processor(square, tokenizer)


def _loaded(base: str) -> tuple[Any, Processor]:
    """A dual encoder of pictures and texts.

    Raises:
        Misconfigured: it is not here, or is none.
    """
    try:
        common: dict[str, Any] = {"trust_remote_code": False, **from_hub(base)}
        model = AutoModel.from_pretrained(base, dtype=torch.float32, use_safetensors=True, **common)
        processor = Processor(
            AutoImageProcessor.from_pretrained(base, **common), AutoTokenizer.from_pretrained(base, **common)
        )
    except (OSError, ValueError, KeyError) as error:
        raise Misconfigured(
            f"No picture model could be loaded from {base!r}: {first_line(error)}",
            next=f"Fetch it (nightscribe models fetch {base}), or name a folder.",
        ) from error
    if not (hasattr(model, "get_image_features") and hasattr(model, "get_text_features")):
        raise Misconfigured(f"{base} is {type(model).__name__}, and no dual encoder of pictures.", next="Name another.")
    return model, processor
