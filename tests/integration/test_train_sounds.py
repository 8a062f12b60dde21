"""A model of sounds and texts is trained on what can be told apart, goes on after a kill, and finds what was learnt."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import command_environment
from forked import nightscribe
from scipy.io import wavfile

from tasks.errors import Misconfigured
from tasks.evaluation.flops import counted
from tasks.models.flap import FlapConfig, FlapExtractor, FlapModel
from tasks.sounds.encoder import load_sound_encoder
from tasks.training.pairs.losses import contrast
from tasks.training.sounds.fit import SoundShape, fit_sounds
from tasks.training.sounds.losses import Reconstruction
from tasks.training.sounds.masks import crossed, scattered
from tasks.training.sounds.options import SoundTraining

RATE = 48_000
KINDS = {"low hum": 150, "whistle": 2500, "hiss": 0, "clicks": -1}
SHAPE = SoundShape(hidden=64, layers=2, seconds=1.28, projection=32, text="scratch")
OPTIONS = SoundTraining(
    learning_rate=1e-3,
    reconstruction=0.3,
    warmup_steps=10,
    max_steps=160,
    batch_size=16,
    validate_every=40,
    decoder_layers=1,
    precision="fp32",
)


def made(kind: int, rng: np.random.Generator) -> np.ndarray:
    at = np.arange(round(rng.uniform(0.8, 2.0) * RATE)) / RATE
    if kind > 0:
        sound = np.sin(2 * np.pi * kind * rng.uniform(0.8, 1.25) * at)
    elif kind == 0:
        sound = rng.standard_normal(len(at)) / 3
    else:
        sound = (np.sin(2 * np.pi * rng.uniform(4, 7) * at) > 0.98).astype(float)
    return (sound * rng.uniform(3000, 12_000)).astype(np.int16)


def corpus(folder: Path, n: int, seed: int) -> Path:
    """So many sounds of each kind, with two captions each."""
    folder.mkdir()
    rng, rows = np.random.default_rng(seed), ["path\tcaption\tother"]
    for name, kind in KINDS.items():
        for number in range(n):
            path = folder / f"{name}-{number}.wav"
            wavfile.write(path, RATE, made(kind, rng))
            rows.append(f"{path.name}\tthe sound of a {name}\t{name}")
    (folder / "sounds.tsv").write_text("\n".join(rows) + "\n")
    return folder / "sounds.tsv"


@pytest.fixture(scope="module")
def manifests(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("corpora")
    return corpus(folder / "train", 8, 1), corpus(folder / "test", 3, 2)


@pytest.fixture(scope="module")
def fitted(manifests, tmp_path_factory) -> Path:
    train, test = manifests
    folder = tmp_path_factory.mktemp("fitted")
    summary = fit_sounds(
        train, folder, options=OPTIONS, shape=SHAPE, validation=test, caption_columns=("caption", "other")
    )
    assert summary["kept"]["sound_to_text_1"] > 0.9, "chance is 0.25"
    assert [row["step"] for row in summary["history"]] == [40, 80, 120, 160]
    return folder


@pytest.mark.long
def test_a_fitted_model_finds_sounds_that_it_never_heard(fitted, manifests):
    encoder = load_sound_encoder(str(fitted / "best"), device="cpu", precision="fp32")
    assert (encoder.rate, encoder.piece_s, encoder.size) == (RATE, 1.28, 32)
    rng = np.random.default_rng(9)
    sounds = [
        made(kind, rng)[: round(1.28 * RATE)].astype(np.float32) / 32768 for kind in KINDS.values() for _ in range(4)
    ]
    near = encoder.sounds(sounds) @ encoder.texts(list(KINDS)).T
    assert (near.argmax(axis=1) == np.repeat(np.arange(4), 4)).mean() >= 0.9
    assert np.allclose(encoder.sounds(sounds[:1]), encoder.sounds(sounds)[:1], atol=1e-5)
    card = (fitted / "best" / "README.md").read_text()
    assert "masking = 2d" in card
    assert (fitted / "best" / "curves.png").stat().st_size > 1000


@pytest.mark.long
def test_a_killed_run_goes_on_as_an_unbroken_one(manifests, tmp_path):
    train, test = manifests
    short = replace(OPTIONS, max_steps=6, validate_every=2)

    def fit(folder, on_progress=lambda progress: None):
        given = {"options": short, "shape": SHAPE, "validation": test}
        return fit_sounds(train, tmp_path / folder, on_progress=on_progress, **given)

    class Killed(BaseException):
        pass

    def kill(progress):
        if progress.step == 5:
            raise Killed

    whole = fit("whole")
    with pytest.raises(Killed):
        fit("broken", kill)
    again = fit("broken")
    assert again["history"] == whole["history"]
    one, other = (FlapModel.from_pretrained(tmp_path / name / "best") for name in ("whole", "broken"))
    for (name, weight), same in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(weight, same), name
    with pytest.raises(Misconfigured):
        fit_sounds(train, tmp_path / "whole", options=replace(short, seed=1), shape=SHAPE, validation=test)


@pytest.mark.long
@pytest.mark.parametrize("masking", ["none", "1d"])
def test_every_masking_learns(manifests, tmp_path, masking):
    train, test = manifests
    options = replace(OPTIONS, masking=masking, reconstruction=0.0, max_steps=160, validate_every=160)
    summary = fit_sounds(train, tmp_path / "run", options=options, shape=SHAPE, validation=test)
    assert summary["kept"]["sound_to_text_1"] >= 0.75, "chance is 0.25"


@pytest.mark.long
def test_the_command_trains_and_says_what_it_left_out(manifests, tmp_path):
    train, _ = manifests
    manifest = tmp_path / "sounds.csv"
    rows = [line.split("\t") for line in train.read_text().splitlines()]
    lines = [f"{train.parent / row[0]},{row[1]}" for row in rows[1:]]
    (tmp_path / "text.wav").write_text("no sound")
    manifest.write_text("\n".join(["path,caption", *lines, "text.wav,nothing", f"{lines[0].split(',')[0]},"]) + "\n")
    shape = ("--text", "scratch", "--hidden", "64", "--layers", "1", "--seconds", "1.28", "--projection", "16")
    own = command_environment(tmp_path)
    steps = ("--max-steps", "2", "--validate-every", "2", "--batch-size", "4", "--warmup-steps", "1")
    done = nightscribe("train", "sounds", manifest, "--out", tmp_path / "run", *shape, *steps, "--json", env=own)
    assert done.returncode == 0, done.stderr
    assert "Left out: not_media: 1 (text.wav)" in done.stderr
    assert "Left out: without a caption: 1" in done.stderr
    assert json.loads(done.stdout)["steps"] == 2
    missing = nightscribe("train", "sounds", manifest, "--out", tmp_path / "other", "--text", "nowhere/at-all", env=own)
    assert missing.returncode != 0
    assert "nightscribe models fetch nowhere/at-all" in missing.stderr


@pytest.mark.long
def test_the_evaluation_tells_recall_beside_chance_and_what_it_costs(fitted, manifests, tmp_path):
    _, test = manifests
    own = command_environment(tmp_path) | {"NIGHTSCRIBE_DEVICE": "cpu"}
    done = nightscribe(
        "evaluate", "sounds", test, "--text-column", "caption", "--models", fitted / "best", "--out", tmp_path / "report",
        "--card", "held out", "--json", env=own,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["n"], found["texts"]) == (12, 4)
    assert found["sound_to_text"]["1"] >= 0.9
    assert found["chance"]["sound_to_text_1"] == pytest.approx(0.25)
    assert found["chance"]["text_to_sound_1"] == pytest.approx(0.25)
    assert found["gflops"] > 0.001
    assert (tmp_path / "report" / "report.png").stat().st_size > 1000
    assert "| a sound for a text |" in (fitted / "best" / "README.md").read_text()


# -- parts --------------------------------------------------------------------------------------------------------------


def test_the_operations_of_a_pass_are_those_of_its_shape():
    width, layers, inner, patches = 64, 2, 128, 64
    config = FlapConfig(
        text_config=TINY_TEXT,
        frames=128,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=1,
        intermediate_size=inner,
    )
    sounds = FlapModel(config).sounds.eval()

    def of(seen: int) -> int:
        layer = 4 * width**2 * seen + 2 * seen**2 * width + 2 * width * inner * seen
        return 2 * (16 * 16 * width * seen + layers * layer)

    features = torch.zeros(1, 128, 128)
    with torch.inference_mode():
        assert counted(lambda: sounds(features)) == of(patches)
    assert counted(lambda: sounds(features, torch.arange(24)[None])) == of(24)


def test_dropped_patches_are_as_many_as_asked_for_and_never_computed():
    kept = scattered(3, 100, 0.4)
    assert kept.shape == (3, 60)
    assert all(len(set(row.tolist())) == 60 for row in kept)
    cross = crossed(2, 64, 8, 0.25, 0.25)
    assert cross.shape == (2, 48 * 6)
    for row in cross.tolist():
        assert len({at // 8 for at in row}) == 48
        assert len({at % 8 for at in row}) == 6
        assert row == sorted(set(row))
    config = FlapConfig(
        text_config=TINY_TEXT,
        frames=128,
        hidden_size=64,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=64,
    )
    sounds = FlapModel(config).sounds.eval()
    features = torch.randn(2, 128, 128)
    seen = scattered(2, 64, 0.5)
    alone = sounds(features, seen)
    assert alone.shape == (2, 32, 64)
    blank = features.clone()
    hidden = sorted(set(range(64)) - set(seen[0].tolist()))[0]
    blank[0, hidden // 8 * 16 : hidden // 8 * 16 + 16, hidden % 8 * 16 : hidden % 8 * 16 + 16] = 99.0
    assert torch.equal(sounds(blank, seen), alone), "what was dropped changes nothing"


TINY_TEXT = {
    "model_type": "bert", "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 16,
    "vocab_size": 20,
}  # fmt: skip


def test_texts_that_are_the_same_are_not_told_apart():
    vectors = torch.eye(3)
    scale = torch.tensor(50.0)
    own = torch.eye(3, dtype=torch.bool)
    assert contrast(vectors, vectors, own, scale) < 1e-6
    assert contrast(vectors, vectors.roll(1, 0), own, scale) > 10
    twice = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    same = torch.tensor([[1, 1, 0], [1, 1, 0], [0, 0, 1]], dtype=torch.bool)
    assert contrast(twice, twice, same, scale) < 0.5
    assert contrast(twice, twice, same, scale) == pytest.approx(np.log(2) * 2 / 3, abs=1e-3)


def test_only_what_was_not_seen_is_to_be_told():
    torch.manual_seed(0)
    config = FlapConfig(text_config=TINY_TEXT, frames=32, hidden_size=64, num_attention_heads=1, projection_dim=8)
    decoder = Reconstruction(config, layers=1).eval()
    patches, seen = torch.randn(1, 16, 256), torch.arange(12)[None]
    states, text = torch.randn(1, 12, 64), torch.randn(1, 8)
    error = decoder(states, seen, text, patches)
    changed = patches.clone()
    changed[:, :12] += 5
    assert torch.equal(decoder(states, seen, text, changed), error)
    changed[:, 12:] += 5
    assert decoder(states, seen, text, changed) > error
    assert decoder(states, torch.arange(12)[None], text + 1, patches) != error, "the text helps"


def test_features_are_those_of_the_sound_alone_however_long():
    extractor = FlapExtractor(max_length_s=1.28)
    sound = np.random.default_rng(0).standard_normal(RATE // 2).astype(np.float32) / 10
    one = extractor(sound, sampling_rate=RATE, return_tensors="np")["input_features"]
    assert one.shape == (1, 128, 128)
    both = extractor([sound, sound[: RATE // 4]], sampling_rate=RATE, return_tensors="np")["input_features"]
    assert np.array_equal(both[0], one[0])
    long = np.concatenate([sound] * 8)
    assert np.array_equal(extractor(long, sampling_rate=RATE, return_tensors="np")["input_features"], one)
    with pytest.raises(ValueError, match="16000 Hz"):
        extractor(sound, sampling_rate=16_000)
