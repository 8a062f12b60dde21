"""The catalogue's hub models: found in a cache laid out as the hub's, offline, with small random weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from conftest import REPO
from fitted_models import KINDS, small, vocabulary
from safetensors.torch import save_file
from sessions import cut
from test_families import CONVOLUTIONS, FAMILIES, POSITIONS, SMALL, make_model

from nightscribe.commands.index import command as index
from tasks.errors import ModelNotAvailable
from tasks.models.catalog import find_set, language_model, read_catalog
from tasks.settings import Settings
from tasks.speech.acoustic import load_acoustic
from tasks.speech.decode import Utterance, decode_utterance
from tasks.stages.emissions.runner import acoustic_of, timing_of
from tasks.stages.words.search import spec_of
from tasks.text.topics import load_topics

CATALOG = REPO / "data/models/catalog.toml"
SETS = (
    "english",
    "parakeet",
    "parakeet-small",
    "wav2vec2",
    "thesis",
    "thesis-cv",
    "persian",
    "romanian",
    "multilingual",
)
# by the owner of the repository
OTHERS = {"ibm-granite": "granite_speech5_ctc", "nvidia": "parakeet_ctc", "aadel4": "wav2vec2 as omniASR"}
REVISION = "0123456789abcdef0123456789abcdef01234567"
PERSIAN = "ءآئابتثجحخدذرزسشصضطظعغفقلمنهوپچژکگی"
ROMANIAN = "abcdefghijklmnopqrstuvwxyzăâîșț"
ALPHABETS = {"persian": PERSIAN, "romanian": ROMANIAN}


@pytest.fixture
def hub(tmp_path, monkeypatch) -> Path:
    """An empty cache; the hub itself cannot be reached."""
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    for name in ("transformers.utils.hub.TRANSFORMERS_CACHE", "transformers.utils.hub.PYTORCH_TRANSFORMERS_CACHE"):
        monkeypatch.setattr(name, str(tmp_path / "hub"), raising=False)
    return tmp_path / "hub"


def place(hub: Path, repository: str) -> Path:
    """The folder of a repository's snapshot in the cache."""
    folder = hub / f"models--{repository.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True, exist_ok=True)
    (folder / "refs" / "main").write_text(REVISION)
    snapshot = folder / "snapshots" / REVISION
    snapshot.mkdir(parents=True, exist_ok=True)
    return snapshot


def put_acoustic(hub: Path, repository: str, alphabet: str) -> None:
    snapshot = place(hub, repository)
    make_model(snapshot, *FAMILIES["wav2vec2 with group norm"])
    vocab = {token: i for i, token in enumerate(["<pad>", "<s>", "</s>", "<unk>", "|", *alphabet])}
    torch.manual_seed(0)
    config = transformers.Wav2Vec2Config(**{**SMALL, "vocab_size": len(vocab)}, **CONVOLUTIONS, **POSITIONS)
    transformers.Wav2Vec2ForCTC(config).save_pretrained(snapshot)
    for old in snapshot.glob("*token*"):
        old.unlink()
    (snapshot / "vocab.json").write_text(json.dumps(vocab))
    (snapshot / "tokenizer_config.json").write_text(
        json.dumps({"unk_token": "<unk>", "pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>",
                    "word_delimiter_token": "|", "do_lower_case": False, "tokenizer_class": "Wav2Vec2CTCTokenizer"})
    )  # fmt: skip


def put_language_model(hub: Path, repository: str) -> None:
    """Files as a repository of `Wav2Vec2ProcessorWithLM` has them."""
    folder = place(hub, repository) / "language_model"
    folder.mkdir()
    shutil.copy(REPO / "data/models/lm-demo/lm.binary", folder / "5gram.bin")
    shutil.copy(REPO / "data/models/lm-demo/unigrams.txt", folder / "unigrams.txt")
    (folder / "attrs.json").write_text(
        json.dumps({"alpha": 0.7, "beta": 2.5, "unk_score_offset": -8.0, "score_boundary": False})
    )


def put_topics(hub: Path, repository: str) -> None:
    for path in (REPO / "data/models/topics-demo").iterdir():
        shutil.copy(path, place(hub, repository) / path.name)


def put_set(hub: Path, name: str) -> None:
    entry = read_catalog(CATALOG)[name]
    kind = OTHERS.get(entry.acoustic.path.split("/")[0])
    if kind:
        snapshot = place(hub, entry.acoustic.path)
        words = vocabulary(["the", "central", "bank"], KINDS[kind].writes)
        model = small(snapshot, KINDS[kind], words)
        if name == "multilingual":  # as a trained one, it says its blank where there is nothing to hear
            torch.nn.init.constant_(model.lm_head.bias[:1], 9.0)
        model.save_pretrained(snapshot)
    else:
        put_acoustic(hub, entry.acoustic.path, ALPHABETS.get(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ'"))
    if lm := entry.ref("lm"):
        put_language_model(hub, lm.path)
    if topics := entry.ref("topics"):
        put_topics(hub, topics.path)


@pytest.mark.parametrize("name", SETS)
def test_a_set_in_the_hubs_cache_is_loaded_offline_as_it_is(name, hub):
    put_set(hub, name)
    settings = Settings(catalog=CATALOG, models=name, device="cpu", precision="fp32")
    chosen = find_set(settings)
    model = acoustic_of(chosen, settings)
    if name == "multilingual":
        assert model.blank == 0, "<s>, and not the padding"
        assert chosen.spoken_tag is None, "any track may be heard"
        return
    if any(chosen.acoustic.path.startswith(owner) for owner in OTHERS):
        assert {"▁the", "▁cent", "ral"} <= set(model.labels)
        assert model.frame_ms == 80
        assert timing_of(chosen, settings).frame_ms < 80
        assert spec_of(chosen, settings, model).language_model is None
        return
    assert model.labels[:5] == ("", "⁇1", "⁇2", "⁇3", " ")
    spec = spec_of(chosen, settings, model)
    if name in ALPHABETS:
        assert chosen.ref("topics") is None
        assert model.labels[5:] == tuple(ALPHABETS[name])
    else:
        assert load_topics(chosen.ref("topics").path, device="cpu").labels
    assert (spec.language_model is None) == (name == "persian")
    if spec.language_model:
        assert (spec.lm_weight, spec.word_bonus) == (0.7, 2.5), "the repository's own weights"
        assert (spec.unknown_score, spec.score_boundary, spec.blank_penalty) == (-8.0, False, 0.0)
        assert spec.unigrams
    log_probs = model.infer(np.random.default_rng(1).standard_normal((1, 32_000), np.float32))[0]
    said = decode_utterance(spec, Utterance(0, log_probs), model.frame_ms)
    assert np.exp(log_probs[:, 1:4]).max() == 0, "<s>, </s> and <unk> are never said"
    assert all(set(word.word) <= set("".join(model.labels[5:])) for word in said)


@pytest.mark.parametrize("name", SETS)
def test_a_set_that_was_not_fetched_names_the_command_that_fetches_it(name, hub, tmp_path):
    settings = Settings(catalog=CATALOG, models=name, device="cpu")
    chosen = find_set(settings)
    with pytest.raises(ModelNotAvailable, match="is not on this machine") as caught:
        load_acoustic(chosen.acoustic.path)
    assert caught.value.next.endswith(f"nightscribe models fetch {chosen.acoustic.path}")
    if lm := chosen.ref("lm"):
        with pytest.raises(ModelNotAvailable, match="is not on this machine") as caught:
            language_model(lm)
        assert caught.value.next == f"nightscribe models fetch {lm.path}"
    if chosen.ref("topics"):
        with pytest.raises(ModelNotAvailable, match="is not on this machine"):
            load_topics(chosen.ref("topics").path)


def test_a_fetched_set_indexes(hub, tmp_path):
    assert index.name == "index"
    put_set(hub, "english")
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    cut(bucket / "a.wav", 3)
    from sessions import session_on, through

    with session_on(bucket, tmp_path, models="english", device="cpu") as session:
        batch = through(session, next(iter(session.batches())))
    assert batch.items[0].result is not None
    assert batch.items[0].result.status in ("indexed", "no_speech")


def test_mms_speaks_the_language_of_its_adapter(hub, tmp_path):
    """MMS: one network, an adapter and a vocabulary for each language (Pratap et al. 2023)."""
    torch.manual_seed(0)
    options = {**SMALL, "vocab_size": 8, "adapter_attn_dim": 4}
    config = transformers.Wav2Vec2Config(**options, **CONVOLUTIONS, **POSITIONS)
    model = transformers.Wav2Vec2ForCTC(config)
    folder = tmp_path / "mms"
    model.save_pretrained(folder)
    special = ["<pad>", "<s>", "</s>", "<unk>", "|"]
    letters = {"eng": "abc", "fra": "éàçü"}
    vocab = {language: {t: i for i, t in enumerate([*special, *own])} for language, own in letters.items()}
    (folder / "vocab.json").write_text(json.dumps(vocab))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"unk_token": "<unk>", "pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>",
                    "word_delimiter_token": "|", "target_lang": "eng", "tokenizer_class": "Wav2Vec2CTCTokenizer"})
    )  # fmt: skip
    transformers.Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(folder)
    for number, (language, own) in enumerate(letters.items()):
        adapter = {name: value.detach().clone() for name, value in model._get_adapters().items()}
        size = 5 + len(own)
        adapter["lm_head.weight"] = torch.full((size, 32), float(number))
        adapter["lm_head.bias"] = torch.zeros(size)
        save_file(adapter, folder / f"adapter.{language}.safetensors", metadata={"format": "pt"})
    # Fetched by its commit, a repository has no `refs/main` in the cache.
    pinned = place(hub, "someone/mms")
    shutil.copytree(folder, pinned, dirs_exist_ok=True)
    shutil.rmtree(hub / "models--someone--mms" / "refs")
    for number, (language, own) in enumerate([*letters.items(), *letters.items()]):
        where = {"name": str(folder)} if number < 2 else {"name": "someone/mms", "revision": REVISION}
        loaded = load_acoustic(**where, device="cpu", precision="fp32", target_language=language)
        number %= 2
        assert loaded.labels == ("", "⁇1", "⁇2", "⁇3", " ", *own)
        assert float(loaded.model.lm_head.weight.detach().mean()) == number
    (pinned / "adapter.fra.safetensors").unlink()
    with pytest.raises(ModelNotAvailable, match="no adapter for 'fra'"):
        load_acoustic("someone/mms", revision=REVISION, device="cpu", precision="fp32", target_language="fra", batch=2)


def test_a_model_that_overflows_goes_on_in_full_precision(tmp_path, caplog):
    torch.manual_seed(0)
    folder = tmp_path / "model"
    make_model(folder, *FAMILIES["wav2vec2 with group norm"])
    wave = np.random.default_rng(1).standard_normal((1, 32_000), np.float32)
    sound = load_acoustic(str(folder), device="cpu", precision="fp32").infer(wave)
    loaded = load_acoustic(str(folder), device="cpu", precision="bf16")
    real = loaded.model.forward

    def overflowing(given):
        made = real(given)
        if given.dtype is not torch.float32:
            made.logits[:, 10] = float("nan")
        return made

    loaded.model.forward = overflowing
    assert np.allclose(loaded.infer(wave), sound, atol=0.5), "bf16 weights in fp32"
    assert loaded.dtype is torch.float32
    assert "goes on in fp32" in caplog.text
    loaded.model.lm_head.weight.data.fill_(float("nan"))
    with pytest.raises(ModelNotAvailable, match="weights are damaged"):
        loaded.infer(wave)
