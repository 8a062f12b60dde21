"""A training run of a model of sounds and texts, from a manifest to a model folder with its card."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModel, AutoTokenizer, BertConfig

from tasks.errors import Misconfigured, first_line
from tasks.machine.folders import same_run
from tasks.models.flap import FlapConfig, FlapExtractor, FlapModel, register
from tasks.models.load import quiet_transformers
from tasks.models.pins import from_hub
from tasks.training.fit import SCRATCH
from tasks.training.pairs.card import write_card
from tasks.training.pairs.loop import PairProgress, digest
from tasks.training.pairs.parts import Processor, kept_back
from tasks.training.pairs.words import words_tokenizer
from tasks.training.sounds.options import SoundTraining
from tasks.training.sounds.store import SoundStore, open_store
from tasks.training.sounds.trainer import SoundTrainer

RATE = 48_000
VOCABULARY = 4000
PATCH_S = 0.16  # of 16 frames of 10 ms


@dataclass(frozen=True)
class SoundShape:
    """A model that is made: width and blocks of the sound encoder, how many seconds it takes, and the size of the space.

    `text` is the encoder of texts (a folder or a hub id), of which `text_layers` blocks are taken, or `scratch`: a small BERT with
    words of the captions.
    """

    hidden: int = 768
    layers: int = 12
    seconds: float = 10.24
    projection: int = 512
    text: str = "FacebookAI/roberta-base"
    text_layers: int | None = None


def fit_sounds(
    manifest: Path,
    folder: Path,
    *,
    options: SoundTraining,
    shape: SoundShape,
    base: str | None = None,
    validation: Path | None = None,
    validation_share: float = 0.1,
    path_column: str = "path",
    caption_columns: Sequence[str] = ("caption",),
    command: str = "",
    on_sound: Callable[[int, int], None] = lambda done, total: None,
    on_progress: Callable[[PairProgress], None] = lambda progress: None,
) -> dict[str, Any]:
    """Train in `folder`, on the pairs of a manifest; a run that was killed goes on. With `base`, a model of this class goes on.

    From the first validation on, `folder/best` is a model for a set's `sounds`.

    Raises:
        Misconfigured: the manifest or a model cannot be used, or `folder` holds another run.
    """
    quiet_transformers()
    register()
    this = {
        "manifest": digest(manifest),
        "validation": digest(validation) if validation else validation_share,
        "columns": [path_column, *caption_columns],
        "base": base,
        "shape": None if base else asdict(shape),
        "options": {name: value for name, value in asdict(options).items() if name not in ("max_steps", "precision")},
    }
    same_run(folder, json.loads(json.dumps(this)), made=("last", "best"))
    columns = {"path_column": path_column, "caption_columns": caption_columns}

    def opened(path: Path) -> SoundStore:
        return open_store(path, folder / "clips", rate=RATE, on_sound=on_sound, **columns)  # type: ignore[arg-type]

    whole = opened(manifest)
    train, judged = (whole, opened(validation)) if validation else _split(whole, validation_share)
    if len(train) < 2 or not len(judged):
        raise Misconfigured(f"{len(whole)} sounds are too few to keep some back.", next="Give --validation, or more.")
    torch.manual_seed(options.seed)
    model, processor = _loaded(base) if base else _made(shape, whole)
    trainer = SoundTrainer(model, processor, train, judged, folder, options)
    problems = whole.problems.lines()
    if validation:
        problems += [f"validation, {line}" for line in judged.problems.lines()]

    def noted(progress: PairProgress) -> None:
        if progress.recall is not None:
            name = f"FLAP, {sum(p.numel() for p in model.parameters()) / 1e6:.1f} million parameters"
            write_card(trainer, name, manifest, command, problems, trained=len(train), judged=len(judged))
        on_progress(progress)

    summary = trainer.fit(noted)
    return {**summary, "sounds": len(train), "problems": problems}


def _split(store: SoundStore, share: float) -> tuple[SoundStore, SoundStore]:
    """To train on, and to judge by."""
    back = kept_back(store.names, share)
    return _part(store, [n for n in range(len(store)) if n not in back]), _part(store, sorted(back))


def _part(store: SoundStore, picked: Sequence[int]) -> SoundStore:
    return replace(
        store,
        starts=tuple(store.starts[n] for n in picked),
        sizes=tuple(store.sizes[n] for n in picked),
        captions=tuple(store.captions[n] for n in picked),
        names=tuple(store.names[n] for n in picked),
    )


def _made(shape: SoundShape, store: SoundStore) -> tuple[FlapModel, Processor]:
    """A model of random weights, but for its encoder of texts where that is named."""
    patches = round(shape.seconds / PATCH_S)
    extractor = FlapExtractor(sampling_rate=RATE, max_length_s=round(patches * PATCH_S, 2))
    if shape.text == SCRATCH:
        tokenizer = words_tokenizer((caption for said in store.captions for caption in said), VOCABULARY)
        text_config: Any = BertConfig(
            vocab_size=len(tokenizer),
            hidden_size=128,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=512,
            max_position_embeddings=128,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
        )
    else:
        tokenizer, text_config = _text_encoder(shape.text)
        if shape.text_layers:
            text_config.num_hidden_layers = min(shape.text_layers, text_config.num_hidden_layers)
    heads = max(1, shape.hidden // 64)
    config = FlapConfig(
        text_config=text_config,
        frames=patches * 16,
        hidden_size=shape.hidden,
        num_hidden_layers=shape.layers,
        num_attention_heads=heads,
        intermediate_size=4 * shape.hidden,
        projection_dim=shape.projection,
    )
    model = FlapModel(config)
    if shape.text != SCRATCH:
        common: dict[str, Any] = {"config": text_config, "trust_remote_code": False, **from_hub(shape.text)}
        model.texts = AutoModel.from_pretrained(shape.text, use_safetensors=True, dtype=torch.float32, **common)
    return model, Processor(extractor, tokenizer)


def _text_encoder(name: str) -> tuple[Any, Any]:
    """Tokenizer and configuration.

    Raises:
        Misconfigured: they are not here.
    """
    try:
        common: dict[str, Any] = {"trust_remote_code": False, **from_hub(name)}
        return AutoTokenizer.from_pretrained(name, **common), AutoConfig.from_pretrained(name, **common)
    except (OSError, ValueError, KeyError) as error:
        raise Misconfigured(
            f"No encoder of texts could be loaded from {name!r}: {first_line(error)}",
            next=f"Fetch it (nightscribe models fetch {name}), name a folder with --text, or say --text scratch.",
        ) from error


def _loaded(base: str) -> tuple[FlapModel, Processor]:
    """A model that was trained before.

    Raises:
        Misconfigured: it is not here, or of another class.
    """
    try:
        common: dict[str, Any] = {"trust_remote_code": False, **from_hub(base)}
        model = FlapModel.from_pretrained(base, dtype=torch.float32, **common)
        extractor = FlapExtractor.from_pretrained(base, **common)
        return model, Processor(extractor, AutoTokenizer.from_pretrained(base, **common))
    except (OSError, ValueError, KeyError) as error:
        raise Misconfigured(
            f"{base} is no model that `train sounds` made: {first_line(error)}", next="Name its folder `best`."
        ) from error
