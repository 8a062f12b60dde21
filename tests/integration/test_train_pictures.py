"""A model of pictures and texts is trained on what can be told apart, goes on after a kill, and finds what was learnt."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import command_environment
from dual_encoders import CLASSES, saved
from forked import nightscribe
from PIL import Image, ImageDraw
from transformers import AutoModel

from data.recipes.frames_demo import COLOURS, SHAPES, changes, draw
from tasks.errors import Misconfigured
from tasks.pictures.encoder import load_picture_encoder
from tasks.training.pairs import loop
from tasks.training.pairs.loop import PairTrainer
from tasks.training.pairs.losses import sigmoid
from tasks.training.pictures.fit import PictureShape, fit_pictures
from tasks.training.pictures.trainer import PictureTraining, varied

SHAPE = PictureShape(side=32, patch=8, hidden=64, layers=2, text_hidden=64, text_layers=1, projection=32)
OPTIONS = PictureTraining(
    learning_rate=1e-3, warmup_steps=20, max_steps=120, batch_size=48, validate_every=40, precision="fp32"
)
SEEN = ("red", "green", "blue", "yellow", "purple", "white")


def caption(colour: str) -> str:
    return f"a {colour} circle"


def corpus(folder: Path, n: int, seed: int) -> Path:
    """So many pictures with a circle of every colour, on grey grounds."""
    folder.mkdir()
    chance, rows = random.Random(seed), ["path\tcaption\tbare"]
    for colour in SEEN:
        for number in range(n):
            ground = Image.new("RGB", (64, 36), (chance.randint(60, 150),) * 3)
            at = chance.uniform(16, 48), chance.uniform(14, 22), chance.uniform(8, 13)
            ImageDraw.Draw(ground).polygon(SHAPES["circle"](*at), fill=COLOURS[colour])
            path = folder / f"{colour}-{number}.png"
            ground.save(path)
            rows.append(f"{path.name}\t{caption(colour)}\t{colour}")
    (folder / "pictures.tsv").write_text("\n".join(rows) + "\n")
    return folder / "pictures.tsv"


@pytest.fixture(scope="module")
def manifests(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("corpora")
    return corpus(folder / "train", 40, 1), corpus(folder / "test", 6, 2)


@pytest.fixture(scope="module")
def fitted(manifests, tmp_path_factory) -> Path:
    train, test = manifests
    folder = tmp_path_factory.mktemp("fitted")
    columns = ("caption", "bare")
    summary = fit_pictures(train, folder, options=OPTIONS, shape=SHAPE, validation=test, caption_columns=columns)
    assert summary["kept"]["picture_to_text_1"] > 0.9, "chance is one in six"
    return folder / "best"


def test_a_fitted_model_finds_pictures_that_it_never_saw(fitted, tmp_path):
    encoder = load_picture_encoder(str(fitted), device="cpu", precision="fp32")
    other = corpus(tmp_path / "other", 3, 3)
    files = [other.parent / line.split("\t")[0] for line in other.read_text().splitlines()[1:]]
    texts = [caption(colour) for colour in SEEN]
    near = encoder.pictures(files) @ encoder.texts(texts).T
    assert (near.argmax(axis=1) == np.repeat(np.arange(6), 3)).mean() >= 0.9
    card = (fitted / "README.md").read_text()
    assert "CLIPModel" in card
    assert "240 pictures" in card


def test_the_evaluation_tells_recall_beside_chance_and_what_changes_find(fitted, manifests, tmp_path):
    _, test = manifests
    rows = ["path\tplus\tminus\twanted"]
    rows += [f"red-{n}.png\t{other}\tred\t{caption(other)}" for other in ("blue", "white") for n in range(3)]
    asked = test.parent / "changes.tsv"
    asked.write_text("\n".join([*rows, "nowhere.png\tblue\tred\tno matter"]) + "\n")
    own = command_environment(tmp_path) | {"NIGHTSCRIBE_DEVICE": "cpu"}
    done = nightscribe(
        "evaluate", "pictures", test, "--text-column", "caption", "--models", fitted, "--changes", asked, "--json",
        "--out", tmp_path / "report", "--card", "held out", env=own,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["n"], found["texts"]) == (36, 6)
    assert found["picture_to_text"]["1"] >= 0.9
    assert found["chance"]["picture_to_text_1"] == pytest.approx(1 / 6)
    assert found["changes"]["n"] == 6
    assert found["changes"]["first"] >= 0.8
    assert found["changes"]["chance"] == pytest.approx(6 / 35)
    assert "a change of a picture that is not judged: 1" in done.stderr
    assert "| a picture for a text |" in (fitted / "README.md").read_text()
    assert (tmp_path / "report" / "report.png").stat().st_size > 1000


def test_a_killed_run_goes_on_as_an_unbroken_one(manifests, tmp_path):
    train, test = manifests
    short = replace(OPTIONS, max_steps=6, validate_every=2)

    def fit(folder, on_progress=lambda progress: None):
        given = {"options": short, "shape": SHAPE, "validation": test}
        return fit_pictures(train, tmp_path / folder, on_progress=on_progress, **given)

    class Killed(BaseException):
        pass

    def kill(progress):
        if progress.step == 5:
            raise Killed

    whole = fit("whole")
    with pytest.raises(Killed):
        fit("broken", kill)
    assert fit("broken")["history"] == whole["history"]
    one, other = (AutoModel.from_pretrained(tmp_path / name / "best") for name in ("whole", "broken"))
    for (name, weight), same in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
        assert torch.equal(weight, same), name
    with pytest.raises(Misconfigured):
        fit_pictures(train, tmp_path / "whole", options=replace(short, seed=1), shape=SHAPE, validation=test)


def test_batches_are_made_ahead_and_none_for_a_run_that_is_finished(manifests, tmp_path, monkeypatch):
    train, test = manifests
    given = {"options": replace(OPTIONS, max_steps=4, validate_every=2), "shape": SHAPE, "validation": test}
    made, backward = [], []
    batch, within = PairTrainer.batch, loop.backward_on

    def watched(self, step):
        made.append(step)
        if step == 3 and made.count(3) == 1:
            raise RuntimeError("no such picture")
        return batch(self, step)

    monkeypatch.setattr(PairTrainer, "batch", watched)
    monkeypatch.setattr(loop, "backward_on", lambda device: backward.append(device.type) or within(device))
    with pytest.raises(RuntimeError, match="no such picture"):
        fit_pictures(train, tmp_path / "run", **given)
    assert (made, len(backward)) == ([0, 1, 2, 3], 3), "its fault is told when its turn comes"
    ended = fit_pictures(train, tmp_path / "run", **given)
    assert made[4:] == [2, 3]
    assert fit_pictures(train, tmp_path / "run", **given)["history"] == ended["history"]
    assert (made[6:], len(backward)) == ([], 5)


@pytest.mark.parametrize("kind", CLASSES)
def test_every_dual_encoder_goes_on_from_what_it_knows(manifests, tmp_path, kind):
    train, _ = manifests
    base = saved(kind, tmp_path / kind)
    options = replace(OPTIONS, learning_rate=1e-3, max_steps=24, validate_every=8)
    summary = fit_pictures(train, tmp_path / "run", options=options, shape=SHAPE, base=str(base))
    losses = [row["loss"] for row in summary["history"]]
    assert losses[-1] < losses[0]
    encoder = load_picture_encoder(str(tmp_path / "run/best"), device="cpu", precision="fp32")
    assert encoder.sigmoid == (kind == "siglip")


def test_the_command_says_what_it_left_out_and_what_it_cannot_use(manifests, tmp_path):
    train, _ = manifests
    names = [line.split("\t")[0] for line in train.read_text().splitlines()[1:]]
    manifest = tmp_path / "pictures.csv"
    (tmp_path / "text.png").write_text("no picture")
    lines = [f"{train.parent / name},a picture" for name in names[:8]]
    manifest.write_text("\n".join(["path,caption", *lines, "text.png,nothing", f"{train.parent / names[0]},"]) + "\n")
    shape = ("--side", "32", "--patch", "8", "--hidden", "64", "--layers", "1", "--text-layers", "1")
    steps = ("--max-steps", "2", "--validate-every", "2", "--batch-size", "4", "--warmup-steps", "1")
    own = command_environment(tmp_path)
    done = nightscribe("train", "pictures", manifest, "--out", tmp_path / "run", *shape, *steps, "--json", env=own)
    assert done.returncode == 0, done.stderr
    assert "Left out: no picture (UnidentifiedImageError): 1" in done.stderr
    assert "Left out: without a caption: 1" in done.stderr
    assert json.loads(done.stdout)["steps"] == 2
    missing = nightscribe("train", "pictures", manifest, "--out", tmp_path / "other", "--base", "nobody/here", env=own)
    assert missing.returncode != 0
    assert "nightscribe models fetch nobody/here" in missing.stderr


# -- parts --------------------------------------------------------------------------------------------------------------


def test_each_pair_is_judged_alone():
    vectors, own, scale = torch.eye(3), torch.eye(3, dtype=torch.bool), torch.tensor(20.0)
    right = sigmoid(vectors, vectors, own, scale, torch.tensor(-10.0))
    wrong = sigmoid(vectors, vectors.roll(1, 0), own, scale, torch.tensor(-10.0))
    assert right < 1e-3
    assert wrong == pytest.approx(20, abs=0.1), "of each row one that belongs together and one that does not"


def test_what_is_varied_shows_the_same():
    chance = np.random.default_rng(0)
    ground = Image.new("RGB", (100, 60), (120, 120, 120))
    ImageDraw.Draw(ground).rectangle((10, 20, 40, 40), fill=(200, 30, 30))
    for _ in range(20):
        other = varied(ground, chance)
        assert other.width >= 84
        left = np.asarray(other)[:, : other.width // 2]
        assert (left[..., 0].astype(int) - left[..., 1] > 80).mean() > 0.15, "still on the left, and red"


def test_the_demo_pictures_are_what_their_captions_say():
    chance = random.Random(4)
    drawn = [draw(chance) for _ in range(150)]
    single = [one for one in drawn if len(one.caption.split()) == 3 and one.caption.split()[2] in SHAPES]
    assert len(single) > 30
    for one in single:
        colour = np.array(COLOURS[one.caption.split()[1]])
        near = np.abs(np.asarray(one.picture).astype(int) - colour).max(axis=-1) < 45
        assert near.mean() > 0.005, one.full
        if "left" in one.full or "right" in one.full:
            middle = np.nonzero(near)[1].mean() / one.picture.width
            assert (middle < 0.5) == ("left" in one.full), one.full
    asked = changes([(str(n), one) for n, one in enumerate(drawn)], chance)
    there = {one.caption for one in drawn}
    assert asked
    assert all(wanted in there and plus in wanted and minus not in wanted.split() for _, plus, minus, wanted in asked)
