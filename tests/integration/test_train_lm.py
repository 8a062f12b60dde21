"""A language model from text: in the model's letters, with the archive's names, without what it is judged by."""

from __future__ import annotations

import json
import math
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from conftest import BUCKET, REPO
from made_media import make
from pyctcdecode.language_model import LanguageModel
from test_evaluate import nightscribe

from data.recipes.spelled import spelled
from nightscribe.bench.material import talks
from tasks.errors import Misconfigured, MissingTool, OutOfMemory
from tasks.evaluation.manifest import Problems, fraction
from tasks.models.catalog import find_set, language_model
from tasks.records import Audio
from tasks.settings import Settings
from tasks.sources.bucket import open_bucket
from tasks.stages.words.options import options
from tasks.stages.words.search import decoder_spec
from tasks.text.spoken import to_alphabet
from tasks.training.lm import LanguageModelOptions, build_lm, tool
from tasks.training.lm_text import read_sentences, sidecar_sentences, text_sentences, without
from tasks.training.scratch import ALPHABET
from tasks.training.tuning import SPEEDS, at_speed

SETTINGS = Settings(catalog=REPO / "data/models/catalog.toml", scratch_free_gb=0)
OPTIONS = LanguageModelOptions(order=3, prune=(0, 0, 0), min_count=1, held_out=0.0)


@pytest.fixture(scope="module", autouse=True)
def lmplz() -> None:
    """KenLM's estimator, built when it is not there."""
    try:
        tool("lmplz")
    except MissingTool as error:
        pytest.skip(f"{error} {error.next}")


@pytest.fixture
def text(tmp_path) -> Path:
    path = tmp_path / "text.txt"
    path.write_text("The cat sat. The cat ran!\nA dog sat on 2 mats.\n\n—\n" * 3, encoding="utf-8")
    return path


def test_text_becomes_sentences_in_the_letters_of_the_model(text):
    assert Counter(read_sentences([text], ALPHABET)) == {
        "the cat sat": 3, "the cat ran": 3, "a dog sat on two mats": 3,
    }  # fmt: skip
    assert next(read_sentences([text], ALPHABET.upper())) == "THE CAT SAT"


def test_an_estimator_that_is_killed_says_what_to_do_and_keeps_the_old_model(tmp_path, monkeypatch):
    killed = tmp_path / "lmplz"
    killed.write_text("#!/bin/sh\nkill -9 $$\n")
    killed.chmod(0o700)
    monkeypatch.setattr("tasks.training.lm.tool", lambda name: killed)
    (tmp_path / "lm").mkdir()
    (tmp_path / "lm" / "lm.binary").write_bytes(b"old")
    with pytest.raises(OutOfMemory, match="lmplz was ended by SIGKILL") as caught:
        build_lm(["a dog sat"], tmp_path / "lm", OPTIONS)
    assert "--memory" in caught.value.next
    assert (tmp_path / "lm" / "lm.binary").read_bytes() == b"old"


def test_the_text_of_the_recipe_is_in_the_letters_of_the_model():
    lines = list(spelled(500))
    assert lines == list(spelled(500))
    prepared = [to_alphabet(line, ALPHABET) for line in lines]
    assert not any(foreign for _, foreign in prepared)
    assert any(text.startswith("twenty ") for text, _ in prepared)


def test_a_text_that_is_none_is_said(tmp_path):
    (tmp_path / "x.txt").write_bytes(b"\xff\xfe\x00")
    for name in ("x.txt", "none.txt"):
        with pytest.raises(Misconfigured, match="cannot be read as text"):
            list(text_sentences([tmp_path / name]))


def test_probabilities_are_those_of_the_counts(text, tmp_path):
    import kenlm

    report = build_lm(read_sentences([text], ALPHABET), tmp_path / "lm", OPTIONS)
    assert (report.sentences, report.words, report.vocabulary) == (9, 36, 9)
    model = kenlm.Model(str(tmp_path / "lm" / "lm.binary"))
    assert model.order == 3
    assert model.score("the cat sat") > model.score("the dog sat") > model.score("mats cat a")
    total = sum(10 ** next(model.full_scores(word, bos=True, eos=False))[0] for word in ("the", "a", "cat", "dog"))
    assert 0.5 < total <= 1.0
    assert math.isfinite(model.score("unheard of"))
    assert (tmp_path / "lm" / "unigrams.txt").read_text().split() == sorted("a cat dog mats on ran sat the two".split())


def test_rare_words_go_and_the_archives_names_stay(text, tmp_path):
    options = LanguageModelOptions(order=2, prune=(0, 0), min_count=5, held_out=0.0)
    build_lm(read_sentences([text], ALPHABET), tmp_path / "lm", options, own=["zebedee speaks"])
    words = (tmp_path / "lm" / "unigrams.txt").read_text().split()
    assert {"zebedee", "speaks", "the", "cat", "sat"} == set(words)


def test_sentences_to_be_judged_by_are_left_out_with_those_that_hold_them():
    judged = ["one two three four five six seven", "short one"]
    sentences = [
        "one two three four five six seven",
        "so one two three four five six it is",
        "one two three four five",
        "short one",
        "nothing in common with the first one at all",
    ]
    assert list(without(sentences, judged)) == [sentences[2], sentences[4]]


def test_sidecars_of_a_bucket_are_read_and_a_broken_one_is_named(tmp_path):
    folder = tmp_path / "bucket"
    folder.mkdir()
    shutil.copy(BUCKET / "business" / "interest-rates.mp4", folder / "talk.mp4")
    (folder / "talk.json").write_text(json.dumps({"title": "Zebedee Quux speaks", "tags": ["Boing"]}))
    (folder / "other.info.json").write_text("{")
    problems = Problems()
    found = list(sidecar_sentences(open_bucket(str(folder), SETTINGS), ALPHABET, problems))
    assert found == ["zebedee quux speaks", "boing"]
    assert problems.found == {"unreadable sidecar": ["other.info.json"]}


def test_held_out_sentences_are_not_counted_and_give_the_perplexity(tmp_path):
    sentences = [f"the number {a} and the number {b}" for a in "abcdefgh" for b in "abcdefgh"] * 3
    options = LanguageModelOptions(order=3, prune=(0, 0, 0), min_count=1, held_out=0.3)
    report = build_lm(sentences, tmp_path / "lm", options)
    assert report.sentences < len(sentences) * 0.85
    assert 1.5 < report.perplexity < 8  # two free words of eight in seven: 8 ** (2 / 7), and a little for the end
    assert report.out_of_vocabulary == 0
    assert report.held_out_sentences > 5


def test_unknown_words_are_counted_among_words_and_not_among_ends_of_sentences(tmp_path):
    judged = [f"zz{i} yy{i}" for i in range(200) if fraction(f"zz{i} yy{i}") < 0.3]
    options = LanguageModelOptions(order=2, prune=(0, 0), min_count=2, held_out=0.3)
    report = build_lm(["a b"] * 4 + ["b a"] * 4 + judged, tmp_path / "lm", options)
    assert report.held_out_sentences >= len(judged)
    assert report.out_of_vocabulary > 0.9


def test_without_held_out_sentences_there_is_no_perplexity(text, tmp_path):
    report = build_lm(read_sentences([text], ALPHABET), tmp_path / "lm", OPTIONS)
    assert (report.perplexity, report.out_of_vocabulary) == (None, None)


def test_words_that_are_all_too_rare_are_said(text, tmp_path):
    options = LanguageModelOptions(order=2, prune=(0, 0), min_count=99, held_out=0.0)
    with pytest.raises(Misconfigured, match="No word of these texts occurs 99 times"):
        build_lm(read_sentences([text], ALPHABET), tmp_path / "lm", options)


def test_a_new_model_takes_the_place_of_the_old_one_with_its_weights(text, tmp_path):
    folder = tmp_path / "lm"
    build_lm(read_sentences([text], ALPHABET), folder, OPTIONS)
    (folder / "attrs.json").write_text('{"alpha": 9}')
    (folder / "search.json").write_text('{"blank_penalty": 9}')
    build_lm(read_sentences([text], ALPHABET), folder, OPTIONS)
    assert not {"attrs.json", "search.json"} & {path.name for path in folder.iterdir()}, (
        "they were tuned to another model"
    )


@pytest.fixture
def models(tmp_path) -> Path:
    """An acoustic model, a text, and two short clips to tune on, of which the text has what is said."""
    folder = tmp_path / "model"
    shutil.copytree(REPO / "data/models/asr-demo", folder)
    begins = [" ".join(talk.text.split()[:12]) for talk in talks()[:2]]
    for number, talk in enumerate(talks()[:2]):
        make("-t", "5", "-i", talk.path, tmp_path / f"{number}.wav")
    (tmp_path / "text.txt").write_text("\n".join([*(talk.text for talk in talks()), *begins]) + "\n")
    (tmp_path / "dev.tsv").write_text("path\ttext\n" + "".join(f"{n}.wav\t{text}\n" for n, text in enumerate(begins)))
    return folder


def test_the_command_makes_a_model_with_weights_that_index_uses(models, tmp_path):
    command = ["train", "lm", "text.txt", "--models", models, "--tune", "dev.tsv", "--min-count", 1, "--json"]
    done = json.loads(nightscribe(tmp_path, *command, "--prune", "0").stdout)
    folder = models / "language_model"
    written = {"lm.binary", "unigrams.txt", "attrs.json", "search.json", "report.json", "README.md"}
    assert written == {path.name for path in folder.iterdir()}
    assert set(json.loads((folder / "attrs.json").read_text())) == set(LanguageModel.JSON_ATTRS), (
        "pyctcdecode refuses any other key"
    )
    tuned = done["tuned"]
    assert tuned["wer"] == min(wer for *_, wer in tuned["tried"])
    assert len(tuned["tried"]) > 10
    settings = Settings(models=str(models))
    chosen = find_set(settings)
    files = language_model(chosen.ref("lm"))
    assert files is not None
    names = ("lm_weight", "word_bonus", "blank_penalty")
    assert [getattr(files, name) for name in names] == [tuned[name] for name in names]
    spec = decoder_spec(options(chosen, settings), ("", "a"), 0)
    assert [getattr(spec, name) for name in names] == [tuned[name] for name in names]
    own = decoder_spec(options(chosen, Settings(models=str(models), lm_weight=0.1, blank_penalty=0.7)), ("", "a"), 0)
    assert (own.lm_weight, own.blank_penalty) == (0.1, 0.7), "a setting comes first"
    card = (folder / "README.md").read_text()
    weights = f"{tuned['lm_weight']:g}, bonus {tuned['word_bonus']:g}, blank penalty {tuned['blank_penalty']:g}"
    assert weights in card
    assert "too short to keep one back" in card


def test_clips_to_tune_on_are_heard_slower_and_faster(tmp_path):
    samples = (np.sin(np.arange(32_000) * 2 * np.pi * 440 / 16_000) * 9000).astype(np.int16)
    samples.tofile(tmp_path / "0.pcm")
    audio = Audio(str(tmp_path / "0.pcm"), len(samples), 0.0, 0.2, 0)
    assert at_speed(audio, 1.0) == audio
    for speed in SPEEDS[1:]:
        other = at_speed(audio, speed)
        heard = np.fromfile(other.path, np.int16)
        assert len(heard) == other.samples == pytest.approx(len(samples) / speed, abs=2)
        hz = np.abs(np.fft.rfft(heard)).argmax() * 16_000 / len(heard)
        assert hz == pytest.approx(440 * speed, abs=1)
    assert np.array_equal(np.fromfile(audio.path, np.int16), samples)


@pytest.mark.long
def test_sentences_to_tune_on_are_not_counted(models, tmp_path):
    command = ["train", "lm", "text.txt", "--models", models, "--min-count", 1, "--prune", "0", "--json"]
    every = json.loads(nightscribe(tmp_path, *command).stdout)["sentences"]
    tuned = json.loads(nightscribe(tmp_path, *command, "--tune", "dev.tsv", "--tune-clips", 1).stdout)["sentences"]
    assert tuned < every


@pytest.mark.parametrize(("clips", "why"), [("none.tsv", "none.tsv"), ("broken.tsv", "No clip to tune on")])
def test_clips_that_cannot_be_tuned_on_leave_the_old_model_with_its_weights(models, tmp_path, clips, why):
    (tmp_path / "broken.wav").write_bytes(b"no sound" * 99)
    (tmp_path / "broken.tsv").write_text("path\ttext\nbroken.wav\twords\n")
    old = models / "language_model"
    old.mkdir()
    for name in ("lm.binary", "attrs.json", "README.md"):
        (old / name).write_text("old")
    said = nightscribe(
        tmp_path, "train", "lm", "text.txt", "--models", models, "--min-count", 1, "--tune", clips, code=2
    )
    assert why in said.stderr
    assert {path.name: path.read_text() for path in old.iterdir()} == dict.fromkeys(
        ("lm.binary", "attrs.json", "README.md"), "old"
    )


def test_a_folder_that_holds_something_else_is_not_replaced(models, tmp_path):
    for out in (models, tmp_path, tmp_path / "text.txt", "."):
        said = nightscribe(tmp_path, "train", "lm", "text.txt", "--models", models, "--out", out, code=2).stderr
        assert "nothing was changed" in said
    assert (models / "model.safetensors").exists()
    assert (tmp_path / "text.txt").exists()


def test_a_set_of_the_catalogue_needs_a_folder(tmp_path):
    (tmp_path / "t.txt").write_text("a b c\n")
    said = nightscribe(tmp_path, "train", "lm", "t.txt", "--models", "demo", code=2).stderr
    assert "Say --out" in said


def test_without_text_or_folder_it_says_what_to_give(tmp_path):
    assert "Give text files, or an archive" in nightscribe(tmp_path, "train", "lm", code=2).stderr
    (tmp_path / "t.txt").write_text("a b c\n")
    assert "--prune" in nightscribe(tmp_path, "train", "lm", "t.txt", "--prune", "x", "--out", "o", code=2).stderr
