"""Any CTC model of transformers fits by naming its folder: small ones of several families, with random weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from tasks.errors import ModelNotAvailable
from tasks.records import Audio
from tasks.speech.acoustic import load_acoustic

CONVOLUTIONS = {"conv_dim": [32] * 7, "conv_kernel": [10, 3, 3, 3, 3, 2, 2], "conv_stride": [5, 2, 2, 2, 2, 2, 2]}
SMALL = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "vocab_size": 30,
    "pad_token_id": 0,
}
POSITIONS = {"num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2}
FAMILIES = {
    "wav2vec2 with group norm": ("Wav2Vec2", {**CONVOLUTIONS, **POSITIONS}),
    "wav2vec2 with layer norm": (
        "Wav2Vec2",
        {**CONVOLUTIONS, **POSITIONS, "feat_extract_norm": "layer", "do_stable_layer_norm": True},
    ),
    "hubert": ("Hubert", {**CONVOLUTIONS, **POSITIONS}),
    "wavlm": ("WavLM", {**CONVOLUTIONS, **POSITIONS}),
    "wav2vec2 with conformer blocks": (
        "Wav2Vec2Conformer",
        {**CONVOLUTIONS, **POSITIONS, "position_embeddings_type": "rotary", "conv_depthwise_kernel_size": 7},
    ),
    "mel features": ("Wav2Vec2Bert", {"feature_projection_input_dim": 160, "conv_depthwise_kernel_size": 7}),
}


def make_model(folder: Path, family: str, options: dict) -> str:
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(**SMALL, **options)
    getattr(transformers, f"{family}ForCTC")(config).save_pretrained(folder)
    vocab = {token: i for i, token in enumerate(["<pad>", "<unk>", "|", *"abcdefghijklmnopqrstuvwxyz'"])}
    (folder / "vocab.json").write_text(json.dumps(vocab))
    tokenizer = transformers.Wav2Vec2CTCTokenizer(
        str(folder / "vocab.json"), unk_token="<unk>", pad_token="<pad>", bos_token=None, eos_token=None
    )
    tokenizer.save_pretrained(folder)
    if family == "Wav2Vec2Bert":
        transformers.SeamlessM4TFeatureExtractor().save_pretrained(folder)
    else:
        transformers.Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
    return str(folder)


@pytest.fixture
def audios(tmp_path) -> list[Audio]:
    """Thirteen seconds, one second, and less than any frame."""
    rng = np.random.default_rng(0)
    out = []
    for number, seconds in enumerate((13.3, 1.0, 0.01)):
        pcm = (rng.standard_normal(int(seconds * 16_000)) * 3000).astype(np.int16)
        pcm.tofile(tmp_path / f"{number}.pcm")
        out.append(Audio(str(tmp_path / f"{number}.pcm"), len(pcm), 0.0, 0.0915, 0))
    return out


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_gives_one_row_of_log_probs_each_20_ms_whatever_the_batch(name, audios, tmp_path):
    family, options = FAMILIES[name]
    folder = make_model(tmp_path / "model", family, options)
    found = []
    for batch in (1, 4):
        loaded = load_acoustic(folder, device="cpu", precision="fp32", window_s=6.0, batch=batch)
        assert loaded.geometry.stride == 320
        assert loaded.labels[:4] == ("", "⁇1", " ", "a")
        pieces: dict[int, list[np.ndarray]] = {}
        for number, piece in loaded.emissions(audios):
            pieces.setdefault(number, []).append(piece)
        found.append({number: np.concatenate(p) for number, p in pieces.items()})
    assert set(found[0]) == {0, 1}
    for number, log_probs in found[0].items():
        assert log_probs.shape == (loaded.geometry.frames(audios[number].samples), 30)
        assert np.allclose(np.exp(log_probs).sum(axis=1), 1, atol=1e-4)
        assert np.allclose(log_probs, found[1][number], atol=1e-5)  # fp32 sums in another order


def test_mel_features_are_normalised_over_the_file_and_not_over_the_window(audios, tmp_path):
    folder = make_model(tmp_path / "model", "Wav2Vec2Bert", FAMILIES["mel features"][1])
    loaded = load_acoustic(folder, device="cpu", precision="fp32", window_s=6.0)
    audio = audios[0]
    whole = loaded.inputs.window(audio, 0, audio.samples)
    assert np.abs(whole.reshape(-1, 80).mean(axis=0)).max() < 0.02
    assert np.abs(whole.reshape(-1, 80).std(axis=0) - 1).max() < 0.02
    part = loaded.inputs.window(audio, 320 * 100, loaded.geometry.samples(50))
    assert np.allclose(part, whole[100:150], atol=1e-3)


def test_a_hub_model_that_is_not_here_says_how_to_fetch_it(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelNotAvailable, match="facebook/wav2vec2-base-960h is not on this machine") as caught:
        load_acoustic("facebook/wav2vec2-base-960h")
    assert "nightscribe models fetch" in caught.value.next


def test_a_folder_that_holds_no_ctc_model_is_said(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ModelNotAvailable, match="is not a CTC model: bert has no head for that"):
        load_acoustic(str(tmp_path))


def test_a_model_that_was_only_pretrained_is_refused_with_the_command_that_trains_it(tmp_path):
    folder = make_model(tmp_path / "model", *FAMILIES["hubert"])
    transformers.HubertModel.from_pretrained(folder).save_pretrained(folder)
    with pytest.raises(ModelNotAvailable, match="never trained to write") as caught:
        load_acoustic(folder)
    assert f"nightscribe train asr clips.tsv --base {folder}" in caught.value.next
