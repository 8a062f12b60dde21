"""A small model of every CTC class of `transformers`, fitted to one clip of the sample archive until it writes it.

Each frame is told what to say, so that a few hundred steps are enough and the word times are known.
"""

from __future__ import annotations

import json
import string
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from conftest import BUCKET
from made_media import SETTINGS, make
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import Unigram
from transformers import AutoConfig, AutoModelForCTC

from tasks.media import extract_audio, probe
from tasks.models.catalog import find_set
from tasks.records import Audio, Word
from tasks.speech.acoustic import SAMPLE_RATE, load_acoustic
from tasks.speech.align import align
from tasks.speech.families import geometry_of, inputs_of
from tasks.speech.labels import BORDER

CLIP_S = 5.0
LAST_MS = 250  # before its end, in which no word that is whole may end: long frames have no place for it
LANGUAGE = "eng"
FRENCH = ["<pad>", "<s>", "</s>", "<unk>", "|", *"éàç"]
STEPS = 600
CONVOLUTIONS = {"conv_dim": [32] * 7, "conv_kernel": [10, 3, 3, 3, 3, 2, 2], "conv_stride": [5, 2, 2, 2, 2, 2, 2]}
POSITIONS = {"num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2}
SMALL = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 128}
OF_SAMPLES = {**SMALL, **CONVOLUTIONS, **POSITIONS}


@dataclass(frozen=True)
class Kind:
    """How to make a small one: `options` of its configuration, how it writes, and its extractor."""

    model_type: str
    options: dict[str, Any]
    writes: str = "letters"
    extractor: Any = None
    encoder: dict[str, Any] | None = None


KINDS = {
    name: Kind(name, OF_SAMPLES)
    for name in ("data2vec-audio", "hubert", "sew", "unispeech", "unispeech-sat", "wav2vec2", "wavlm")
} | {
    "sew-d": Kind("sew-d", {**OF_SAMPLES, "max_position_embeddings": 64, "position_buckets": 32}),
    "wav2vec2-conformer": Kind("wav2vec2-conformer", {**OF_SAMPLES, "conv_depthwise_kernel_size": 7}),
    "wav2vec2-bert": Kind(
        "wav2vec2-bert",
        {**SMALL, "feature_projection_input_dim": 160, "conv_depthwise_kernel_size": 7},
        extractor=transformers.SeamlessM4TFeatureExtractor,
    ),
    "parakeet_ctc": Kind(
        "parakeet_ctc",
        {},
        "subwords, blank last",
        transformers.ParakeetFeatureExtractor,
        {**SMALL, "subsampling_conv_channels": 32},
    ),
    "lasr_ctc": Kind(
        "lasr_ctc",
        {},
        "subwords and {period}",
        transformers.LasrFeatureExtractor,
        {**SMALL, "subsampling_conv_channels": 32, "conv_kernel_size": 8},
    ),
    "granite_speech5_ctc": Kind("granite_speech5_ctc", {}, "subwords", "GraniteSpeech5FeatureExtractor", SMALL),
    "wav2vec2 in capitals": Kind("wav2vec2", OF_SAMPLES, "capitals"),
    "wav2vec2 as omniASR": Kind("wav2vec2", OF_SAMPLES, "letters, blank is <s>"),
    "wav2vec2 as MMS": Kind("wav2vec2", {**OF_SAMPLES, "adapter_attn_dim": 8}, "letters of a language"),
}


@dataclass(frozen=True)
class Truth:
    """The clip, its sound, and the words that are said in it."""

    path: Path
    audio: Audio
    words: tuple[Word, ...]


def the_clip(folder: Path) -> Truth:
    """The first words of a video, where the demo model finds them in the sound."""
    from nightscribe.bench.material import talks

    path = folder / "clip.wav"
    make("-t", str(CLIP_S), "-i", BUCKET / "business" / "interest-rates.mp4", "-vn", "-ac", "1", "-ar", "16000", path)
    audio = extract_audio(path, probe(path, SETTINGS), folder / "clip.pcm", SETTINGS)
    chosen = find_set(SETTINGS)
    model = load_acoustic(chosen.acoustic.path, device="cpu", precision="fp32")
    log_probs = np.concatenate([piece for _, piece in model.emissions([audio])])
    said = next(talk.text for talk in talks() if talk.path.name == "interest-rates.mp4").split()
    best = max(range(3, 20), key=lambda n: _likelihood(said[:n], log_probs, model))
    found = align(said[:best], log_probs, model.labels, model.blank, 0, model.frame_ms)
    whole = [word for word in found if word.end_ms < CLIP_S * 1000 - LAST_MS]  # the clip may end in the middle of one
    return Truth(path, audio, tuple(whole))


def _likelihood(words: Sequence[str], log_probs: np.ndarray, model: Any) -> float:
    """Of these words being all that is said."""
    from tasks.speech.labels import text_of

    tokens = log_probs.argmax(1)
    heard = text_of(model.labels, [t for i, t in enumerate(tokens) if i == 0 or t != tokens[i - 1]])
    return -abs(len(heard) - len(" ".join(words)))


def written(words: Sequence[str], writes: str) -> list[str]:
    """The words as they are in the transcript of such a model, in lower case."""
    return [*words[:-1], words[-1] + "."] if writes.endswith("{period}") else list(words)


def pieces_of(word: str, writes: str) -> list[str]:
    """How the model writes a word."""
    if word.endswith("."):
        return [*pieces_of(word.removesuffix("."), writes), BORDER, "{period}"]
    if writes.startswith("subwords"):
        return [f"{BORDER}{word[:4]}", *([word[4:]] if word[4:] else [])]
    return list(word.upper() if writes == "capitals" else word)


def vocabulary(words: Sequence[str], writes: str) -> list[str]:
    """The tokens in their order."""
    if writes.startswith("subwords"):
        pieces = dict.fromkeys(piece for word in written(words, writes) for piece in pieces_of(word, writes))
        letters = [BORDER, *string.ascii_lowercase, *(f"{BORDER}{letter}" for letter in "abc")]
        own = ["<unk>", *dict.fromkeys([*pieces, *letters])]
        return [*own, "<pad>"] if writes.endswith("last") else ["<pad>", *own]
    letters = list(string.ascii_uppercase if writes == "capitals" else string.ascii_lowercase)
    if writes.startswith("letters, blank is"):
        return ["<s>", "<pad>", "</s>", "<unk>", "|", *letters]
    return [*letters, "|", "<unk>", "<pad>"] if writes == "capitals" else ["<pad>", "<unk>", "|", *letters]


def save_tokenizer(folder: Path, tokens: list[str], writes: str, model_type: str) -> None:
    if not writes.startswith("subwords"):
        (folder / "vocab.json").write_text(json.dumps({token: i for i, token in enumerate(tokens)}))
        ends = {"bos_token": "<s>", "eos_token": "</s>"} if "<s>" in tokens else {"bos_token": None, "eos_token": None}
        transformers.Wav2Vec2CTCTokenizer(
            str(folder / "vocab.json"), unk_token="<unk>", pad_token="<pad>", **ends
        ).save_pretrained(folder)
        return
    if model_type == "lasr_ctc":
        made = transformers.LasrTokenizer(vocab=[(token, -1.0) for token in tokens], extra_ids=0)
    else:
        backend = Tokenizer(Unigram([(token, -1.0) for token in tokens], unk_id=tokens.index("<unk>")))
        backend.pre_tokenizer, backend.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
        kind = transformers.ParakeetTokenizer if model_type == "parakeet_ctc" else transformers.PreTrainedTokenizerFast
        made = kind(tokenizer_object=backend, unk_token="<unk>", pad_token="<pad>")
    made.save_pretrained(folder)


def small(folder: Path, kind: Kind, tokens: list[str]) -> Any:
    """A model with random weights; beside it in the folder its tokenizer and the settings of its inputs."""
    torch.manual_seed(1)
    config = AutoConfig.for_model(
        kind.model_type,
        vocab_size=len(tokens),
        pad_token_id=tokens.index("<pad>"),
        **kind.options,
        **({"encoder_config": {**kind.encoder, **_encoder_vocabulary(kind, tokens)}} if kind.encoder else {}),
    )
    model = AutoModelForCTC.from_config(config).eval()
    save_tokenizer(folder, tokens, kind.writes, kind.model_type)
    if isinstance(kind.extractor, str):
        (folder / "preprocessor_config.json").write_text(json.dumps({"feature_extractor_type": kind.extractor}))
    else:
        (kind.extractor or (lambda: transformers.Wav2Vec2FeatureExtractor(do_normalize=True)))().save_pretrained(folder)
    return model


def fitted(folder: Path, kind: Kind, truth: Truth) -> Path:
    """A folder that `--models` takes."""
    folder.mkdir(parents=True)
    tokens = vocabulary([word.word for word in truth.words], kind.writes)
    model = small(folder, kind, tokens)
    inputs = inputs_of(model, str(folder), None)
    geometry = geometry_of(model, inputs, window_s=20.0, context_s=2.0)
    frames = geometry.frames(truth.audio.samples)
    given = torch.from_numpy(inputs.window(truth.audio, 0, geometry.samples(frames)))[None]
    target = torch.from_numpy(targets(truth, tokens, kind.writes, frames, geometry.stride))
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    weight = torch.where(target == target[0], 0.3, 1.0)
    for step in range(STEPS):
        logits = model(given).logits[0, :frames]
        loss = (torch.nn.functional.cross_entropy(logits, target, reduction="none") * weight).mean()
        if step % 10 == 9 and bool((logits.argmax(1) == target).all()) and loss < 0.02:
            break
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    else:
        raise AssertionError(f"{kind.model_type} does not write its clip after {STEPS} steps: loss {float(loss):.3f}")
    if kind.writes == "letters of a language":
        as_adapter(model, folder)
    model.save_pretrained(folder)
    return folder


def as_adapter(model: Any, folder: Path) -> None:
    """What was fitted becomes the adapter of a language, as MMS has them; the model itself is left with another's."""
    save_file(
        {name: weight.detach().clone() for name, weight in model._get_adapters().items()},
        folder / f"adapter.{LANGUAGE}.safetensors",
        metadata={"format": "pt"},
    )
    model.config.vocab_size = 8
    model.lm_head = torch.nn.Linear(model.config.hidden_size, model.config.vocab_size)
    for weight in model._get_adapters().values():
        torch.nn.init.normal_(weight, std=0.5)
    vocabularies = {
        LANGUAGE: json.loads((folder / "vocab.json").read_text()),
        "fra": {token: i for i, token in enumerate(FRENCH)},
    }
    (folder / "vocab.json").write_text(json.dumps(vocabularies))
    settings = json.loads((folder / "tokenizer_config.json").read_text())
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | {"target_lang": "fra"}))


def _encoder_vocabulary(kind: Kind, tokens: list[str]) -> dict[str, int]:
    """Granite's encoder looks at its own words in its middle."""
    return {"vocab_size": len(tokens)} if kind.model_type == "granite_speech5_ctc" else {}


def targets(truth: Truth, tokens: list[str], writes: str, frames: int, stride: int) -> np.ndarray:
    """The token of each frame, shape (frames,): the pieces of a word over its time, blanks and borders between."""
    blank = tokens.index("<s>" if "<s>" in tokens else "<pad>")
    out = np.full(frames, blank, np.int64)
    last = -1
    for word, text in zip(truth.words, written([word.word for word in truth.words], writes), strict=True):
        first, end = (round(at * SAMPLE_RATE / 1000 / stride) for at in (word.start_ms, word.end_ms))
        pieces = [tokens.index(piece) for piece in pieces_of(text, writes)]
        first = max(first, last + 2)
        places = np.linspace(first, max(end, first + len(pieces)) - 1, len(pieces)).round().astype(int)
        for i in range(1, len(places)):
            places[i] = max(places[i], places[i - 1] + 1 + (pieces[i] == pieces[i - 1]))
        if "|" in tokens and last >= 0:
            out[places[0] - 1] = tokens.index("|")
        out[places], last = pieces, int(places[-1])
    return out
