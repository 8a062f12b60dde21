"""Published acoustic models as shapes: of the same size, with random weights, for benches of speed and memory."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tasks.models.load import BatchSize, choose_dtype
from tasks.records import Audio
from tasks.speech.acoustic import AcousticModel
from tasks.speech.families import geometry_of, inputs_of
from tasks.speech.speed_up import speed_up

PIECE_S = 20
LARGE = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
    "feat_extract_norm": "layer",
    "do_stable_layer_norm": True,
    "conv_bias": True,
}


@dataclass(frozen=True)
class Shape:
    """The configuration of a published model, as far as it is not its class's own, and its extractor."""

    model_type: str
    options: dict[str, Any] = field(default_factory=dict)
    extractor: str = "Wav2Vec2FeatureExtractor"


SHAPES = {
    "english": Shape("granite_speech5_ctc", extractor="GraniteSpeech5FeatureExtractor"),
    "parakeet": Shape("parakeet_ctc", {"encoder_config": {"num_hidden_layers": 42}}, "ParakeetFeatureExtractor"),
    "parakeet-small": Shape("parakeet_ctc", {"encoder_config": {"num_hidden_layers": 24}}, "ParakeetFeatureExtractor"),
    "wav2vec2": Shape("wav2vec2", {"vocab_size": 32}),
    "multilingual": Shape("wav2vec2", {**LARGE, "vocab_size": 10288}),
    "persian": Shape("wav2vec2", {**LARGE, "vocab_size": 40}),
    "romanian": Shape("wav2vec2", {**LARGE, "vocab_size": 40}),
}


def shaped(shape: Shape, folder: Path, precision: str = "auto", device: str = "cpu") -> AcousticModel:
    """An acoustic model of that shape; what it says means nothing."""
    from transformers import AutoConfig, AutoModelForCTC

    (folder / "preprocessor_config.json").write_text(json.dumps({"feature_extractor_type": shape.extractor}))
    where = torch.device(device)
    dtype = choose_dtype(precision, where)
    made: Callable[[Any], Any] = AutoModelForCTC.from_config
    model = made(AutoConfig.for_model(shape.model_type, **shape.options)).to(where, dtype).eval()
    speed_up(model, where, dtype)
    inputs = inputs_of(model, str(folder), None)
    tokens = int(model.config.vocab_size)
    return AcousticModel(
        name=shape.model_type,
        model=model,
        inputs=inputs,
        labels=("", *(f"t{n}" for n in range(1, tokens))),
        blank=0,
        geometry=geometry_of(model, inputs, window_s=20.0, context_s=2.0),
        device=where,
        dtype=dtype,
        batch=BatchSize(32 if where.type == "cuda" else 1),
    )


def parakeet_beside(sound: Audio, precision: str, folder: Path, *, device: str = "cpu") -> tuple[float, float]:
    """Seconds that Parakeet CTC 0.6b's shape takes here and in the pipeline of transformers, from sound to the best token of each
    frame. The pipeline cannot cut up long sound for this class: it is given pieces, which overlap nowhere."""
    from transformers import ParakeetFeatureExtractor
    from transformers import pipeline as transformers_pipeline

    model = shaped(SHAPES["parakeet-small"], folder, precision, device)
    wave = np.fromfile(sound.path, np.int16, count=sound.samples).astype(np.float32) / 32768
    pieces = wave.reshape(-1, PIECE_S * 16_000)
    warm = model.inputs.window(sound, 0, model.geometry.samples(model.geometry.window))
    model.infer(np.stack([warm] * model.batch.items))
    started = time.monotonic()
    for _, log_probs in model.emissions([sound]):
        log_probs.argmax(axis=1)
    ours = time.monotonic() - started
    made: Any = transformers_pipeline(
        "automatic-speech-recognition",
        model=model.model,
        feature_extractor=ParakeetFeatureExtractor(),
        tokenizer=_letters(len(model.labels)),
        dtype=model.dtype,
        device=device,
        batch_size=model.batch.items,
    )
    given = [{"raw": piece.copy(), "sampling_rate": 16_000} for piece in pieces]
    made(dict(given[0]))  # it takes the keys out of what it is given
    started = time.monotonic()
    made(given)
    return ours, time.monotonic() - started


def _letters(size: int) -> Any:
    """A tokenizer of so many tokens."""
    from tokenizers import Tokenizer, decoders
    from tokenizers.models import Unigram
    from transformers import ParakeetTokenizer

    backend = Tokenizer(
        Unigram([("<unk>", -1.0), *((f"t{n}", -1.0) for n in range(2, size)), ("<pad>", -1.0)], unk_id=0)
    )
    backend.decoder = decoders.Metaspace()
    return ParakeetTokenizer(tokenizer_object=backend, unk_token="<unk>", pad_token="<pad>")
