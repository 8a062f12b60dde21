"""Whisper's encoder as a CTC model: the same encoder, at any length, in any batch, from any window of a file."""

from __future__ import annotations

import json
import struct
import wave
from dataclasses import replace

import numpy as np
import pytest
import torch
import transformers
from conftest import command_environment
from forked import nightscribe
from sessions import cut
from test_train_asr import QUICK, Killed, corpus, trainer  # noqa: F401
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from data.recipes.whisper_arrays import OF_DECODER, OF_ENCODER, convert, read_arrays
from tasks.errors import Misconfigured
from tasks.models.whisper_ctc import LogMelExtractor, WhisperForCTC, from_whisper
from tasks.records import Audio
from tasks.speech.acoustic import load_acoustic
from tasks.speech.mel import LogMel
from tasks.training.base_model import load_for_training
from tasks.training.groups import freeze_layers, parameter_groups
from tasks.training.scratch import letters

SHAPE = {
    "d_model": 64, "encoder_layers": 2, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2,
    "encoder_ffn_dim": 128, "decoder_ffn_dim": 128, "vocab_size": 60, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
    "decoder_start_token_id": 1, "suppress_tokens": None, "begin_suppress_tokens": None,
}  # fmt: skip


@pytest.fixture(scope="module")
def whisper() -> transformers.WhisperForConditionalGeneration:
    torch.manual_seed(3)
    return transformers.WhisperForConditionalGeneration(transformers.WhisperConfig(**SHAPE)).eval()


@pytest.fixture(scope="module")
def base(whisper, tmp_path_factory) -> str:
    """A folder as a Whisper of the hub has it."""
    folder = tmp_path_factory.mktemp("whisper")
    whisper.save_pretrained(folder)
    transformers.WhisperFeatureExtractor().save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def speech(tmp_path_factory) -> np.ndarray:
    path = tmp_path_factory.mktemp("speech") / "a.wav"
    cut(path, 31)
    with wave.open(str(path)) as sound:
        return np.frombuffer(sound.readframes(-1), np.int16)


def floats(pcm: np.ndarray) -> np.ndarray:
    return pcm.astype(np.float32) / 32768


def heard(model: WhisperForCTC, clips: list[np.ndarray]) -> list[torch.Tensor]:
    """Logits of clips in one batch, without what is padding."""
    made = LogMelExtractor()(clips, sampling_rate=16_000, return_tensors="pt")
    with torch.inference_mode():
        logits = model(made.input_features, made.attention_mask).logits
    frames = model._get_feat_extract_output_lengths(made.attention_mask.sum(-1))
    return [row[:n] for row, n in zip(logits, frames, strict=True)]


def test_of_thirty_seconds_features_and_states_are_those_of_whisper(whisper, speech):
    clip = floats(speech)[: 30 * 16_000]
    theirs = transformers.WhisperFeatureExtractor()(clip, sampling_rate=16_000, return_tensors="pt").input_features
    ours = LogMelExtractor()(clip, sampling_rate=16_000, return_tensors="pt").input_features
    assert torch.allclose(ours.transpose(1, 2), theirs, atol=1e-5)
    model = from_whisper(whisper, 30, 0).eval()
    with torch.inference_mode():
        states = model.encoder(ours, None)[-1]
        assert torch.allclose(states, whisper.get_encoder()(theirs).last_hidden_state, atol=1e-4)


def test_a_clip_is_heard_alike_alone_and_beside_a_longer_one(whisper, speech):
    model = from_whisper(whisper, 30, 0).eval()
    clips = [floats(speech)[:n] for n in (48_000, 16_123, 160_000)]
    assert [len(row) for row in heard(model, clips)] == [150, 50, 500]
    for together, clip in zip(heard(model, clips), clips, strict=True):
        assert torch.allclose(together, heard(model, [clip])[0], atol=1e-5)


@pytest.mark.parametrize("samples", [320 * 1200, 320 * 1200 + 250])
def test_a_window_has_the_features_that_the_whole_file_has_there(samples, speech, tmp_path):
    speech[:samples].tofile(tmp_path / "a.pcm")
    audio, extractor = Audio(str(tmp_path / "a.pcm"), samples, 0.0, 0.1, 0), LogMelExtractor()
    whole = extractor(floats(speech[:samples]), sampling_rate=16_000)["input_features"][0]
    windows = LogMel(extractor)
    for first, frames in ((0, 100), (150, 400), (800, 400)):  # the first, one in the middle, and the last one
        part = windows.window(audio, 320 * first, 320 * frames)
        assert part.shape == (2 * frames, 80)
        away = np.abs(part - whole[2 * first : 2 * (first + frames)]).max(1)
        assert away[: -1 if first == 800 else None].max() < 1e-5, "but where one more sample would be heard"


def test_it_is_kept_and_found_by_the_auto_classes_and_heard_in_windows(base, speech, tmp_path):
    model, parts = load_for_training(base)
    model.save_pretrained(tmp_path / "model")
    parts.save_pretrained(tmp_path / "model")
    speech.tofile(tmp_path / "a.pcm")
    audio = Audio(str(tmp_path / "a.pcm"), len(speech), 0.0, 0.1, 0)
    loaded = load_acoustic(str(tmp_path / "model"), device="cpu", precision="fp32", window_s=8.0)
    assert isinstance(loaded.model, WhisperForCTC)
    assert (loaded.frame_ms, loaded.blank, loaded.labels[:4]) == (20.0, 0, ("", loaded.labels[1], " ", "a"))
    rows = np.concatenate([piece for _, piece in loaded.emissions([audio])])
    assert rows.shape == (len(speech) // 320, 30)
    assert np.allclose(np.exp(rows).sum(1), 1, atol=1e-4)
    again = load_acoustic(str(tmp_path / "model"), device="cpu", precision="fp32", window_s=8.0, batch=3)
    assert np.allclose(rows, np.concatenate([piece for _, piece in again.emissions([audio])]), atol=1e-4)


def test_training_is_masked_and_hearing_is_not(whisper, speech):
    model = from_whisper(whisper, 30, 0)
    given = LogMelExtractor()([floats(speech)[:80_000]] * 2, sampling_rate=16_000, return_tensors="pt").input_features
    torch.manual_seed(0)
    masked = model._masked(given)
    hidden = (masked != given).float()
    assert 0.1 < hidden.mean() < 0.6
    assert not torch.equal(hidden[0], hidden[1])
    mean = given.mean((1, 2))
    assert torch.allclose(masked[0][hidden[0].bool()], mean[0])
    model.train()
    with torch.inference_mode():
        assert not torch.equal(model(given).logits, model(given).logits)
        model.eval()
        assert torch.equal(model(given).logits, model(given).logits)


def test_a_whisper_without_letters_is_refused_with_the_command_that_gives_it_some(base, tmp_path):
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    cut(bucket / "one.wav", 3)
    done = nightscribe("index", bucket, "--models", base, "--json", env=command_environment(tmp_path))
    error = json.loads(done.stdout)["error"]
    assert (done.returncode, error["code"]) == (2, "model_not_available"), done.stderr
    assert "whisper has no head" in error["message"]
    assert f"nightscribe train asr clips.tsv --base {base}" in error["next"]


def test_a_whisper_gets_letters_and_a_run_that_is_broken_off_ends_as_an_unbroken_one(base, corpus, tmp_path):
    options = replace(QUICK, head_learning_rate=5e-3, layer_decay=0.8, mask_time=0.2)
    summary = trainer(corpus, base, tmp_path / "whole", options).fit()
    assert summary["history"][-1]["loss"] < summary["history"][0]["loss"]
    for step in (4, 7):  # between two validations

        def stop(progress, step=step):
            if progress.step == step:
                raise Killed

        with pytest.raises(Killed):
            trainer(corpus, base, tmp_path / "broken", options).fit(stop)
    assert trainer(corpus, base, tmp_path / "broken", options).fit()["history"] == summary["history"]
    model, parts = load_for_training(str(tmp_path / "broken" / "best"))
    assert (type(model), parts.tokenizer.get_vocab()) == (WhisperForCTC, letters().get_vocab())


def test_lower_layers_learn_more_slowly_and_the_head_faster(whisper):
    model = from_whisper(whisper, 30, 0)
    groups = parameter_groups(model, replace(QUICK, head_learning_rate=4e-3, layer_decay=0.5, weight_decay=0.1))
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    scales = {names[id(p)]: group["scale"] for group in groups for p in group["params"]}
    assert len(scales) == len(names)
    assert scales["lm_head.weight"] == 4.0
    assert scales["encoder.layer_norm.weight"] == scales["encoder.layers.1.fc1.bias"] == 1.0
    assert scales["encoder.layers.0.fc1.weight"] == 0.5
    assert scales["encoder.conv1.weight"] == 0.25
    decays = {names[id(p)]: group["weight_decay"] for group in groups for p in group["params"]}
    assert (decays["encoder.conv1.weight"], decays["encoder.conv1.bias"]) == (0.1, 0.0)


def test_lower_layers_that_are_frozen_stay_as_they_are(whisper, base, corpus, tmp_path):
    options = replace(QUICK, freeze_layers=1)
    run = trainer(corpus, base, tmp_path / "run", options)
    before = {name: weight.clone() for name, weight in run.model.state_dict().items()}
    run.fit()
    same = {name for name, weight in run.model.state_dict().items() if torch.equal(weight, before[name])}
    assert {name for name, _ in run.model.named_parameters() if name in same} == {
        name for name in before if name.startswith(("encoder.layers.0.", "encoder.conv"))
    }
    with pytest.raises(Misconfigured, match="2 layers cannot stay"):
        freeze_layers(from_whisper(whisper, 30, 0), 2)


def arrays_of(model: transformers.WhisperForConditionalGeneration) -> bytes:
    """The model as CTranslate2 writes it: queries, keys and values in one array, norms by their Greek names."""
    state = {name.removeprefix("model."): value.half().numpy() for name, value in model.state_dict().items()}
    found: dict[str, np.ndarray] = {
        "encoder/num_heads": np.array(2, np.int16),
        "decoder/num_heads": np.array(2, np.int16),
    }
    whole = {"encoder/conv1": "encoder.conv1", "encoder/conv2": "encoder.conv2"}
    for side, parts in (("encoder", OF_ENCODER), ("decoder", OF_DECODER)):
        found[f"{side}/position_encodings/encodings"] = state[f"{side}.embed_positions.weight"]
        whole[f"{side}/layer_norm"] = f"{side}.layer_norm"
        for layer in range(SHAPE[f"{side}_layers"]):
            for old, new in parts.items():
                names = [f"{side}.layers.{layer}.{name}" for name in new]
                width = SHAPE["d_model"]
                biases = [state.get(f"{name}.bias", np.zeros(width, np.float16)) for name in names]
                kinds = ("gamma", "beta") if old.endswith("norm") else ("weight", "bias")
                weights = np.concatenate([state[f"{name}.weight"] for name in names])
                found[f"{side}/layer_{layer}/{old}/{kinds[0]}"] = weights
                found[f"{side}/layer_{layer}/{old}/{kinds[1]}"] = np.concatenate(biases)
    for old, new in whole.items():
        kinds = ("gamma", "beta") if old.endswith("norm") else ("weight", "bias")
        found |= {f"{old}/{kind}": state[f"{new}.{name}"] for kind, name in zip(kinds, ("weight", "bias"), strict=True)}
    found["decoder/embeddings/weight"] = state["decoder.embed_tokens.weight"]
    out = struct.pack("<I", 6) + struct.pack("<H", 12) + b"WhisperSpec\0" + struct.pack("<II", 3, len(found))
    for name, value in sorted(found.items()):
        out += struct.pack("<H", len(name) + 1) + name.encode() + b"\0" + struct.pack("<B", value.ndim)
        out += struct.pack(f"<{value.ndim}I", *value.shape)
        out += struct.pack("<BI", {"int16": 2, "float16": 4}[value.dtype.name], value.nbytes) + value.tobytes()
    return out


def test_arrays_of_another_layout_become_the_same_whisper(whisper, base, tmp_path):
    data = arrays_of(whisper)
    (tmp_path / "one").write_bytes(data[:5000])
    (tmp_path / "two").write_bytes(data[5000:])
    words = {"a": 0, "<|startoftranscript|>": 1, "<|endoftext|>": 2}
    Tokenizer(WordLevel(words, unk_token="a")).save(str(tmp_path / "tokenizer.json"))
    convert([tmp_path / "one", tmp_path / "two"], tmp_path / "tokenizer.json", tmp_path / "made")
    made = transformers.WhisperForConditionalGeneration.from_pretrained(tmp_path / "made")
    for name, value in whisper.state_dict().items():
        assert torch.equal(made.state_dict()[name], value.half()), name
    with pytest.raises(ValueError, match="This is a Transform"):
        read_arrays(data.replace(b"WhisperSpec\0", b"Transform!!\0"))
    assert isinstance(load_for_training(str(tmp_path / "made"))[0], WhisperForCTC)
