"""Training a topic classifier: from nothing, from a checkpoint, and on after a kill."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from test_evaluate import nightscribe

from tasks.errors import Misconfigured
from tasks.evaluation.manifest import Problems
from tasks.evaluation.near_copies import near_copies
from tasks.text.topics import load_topics
from tasks.training.fit_topics import fit_topics, split
from tasks.training.topics import TopicTraining, train_topics
from tasks.training.topics_scratch import make_tokenizer, pretrain, small_bert

WORDS = {
    "sport": "goal match team striker league cup final coach win referee".split(),
    "tech": "software phone chip internet browser laptop program network data screen".split(),
    "film": "actor scene director festival camera award script cinema drama role".split(),
}
QUICK = TopicTraining(max_tokens=48, min_tokens=16, learning_rate=2e-3, batch_size=16, epochs=3, distil=True)


def texts(n: int, seed: int = 0) -> list[tuple[str, str]]:
    """Made-up articles: half of their words are those of their subject."""
    rng = np.random.default_rng(seed)
    common = "the of a to in and said it was for on with that".split()
    out = []
    for i in range(n):
        label = list(WORDS)[i % 3]
        own, other = rng.choice(WORDS[label], 15), rng.choice(common, 15)
        out.append((" ".join(word for pair in zip(own, other, strict=True) for word in pair), label))
    return out


def test_a_label_with_few_texts_is_trained_on_and_a_large_group_keeps_nothing_from_being_judged():
    pairs = [*texts(60), ("a single text about the weather", "weather")]
    cluster = [("one long story told again and again by many papers " * 3, "film")] * 30
    for seed in range(20):
        kept, judged = split([*pairs, *cluster], 0.2, seed=seed)
        assert "weather" in {label for _, label in kept}
        assert 8 <= len(judged) <= 18


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> str:
    """A tiny BERT that has read the texts."""
    folder = tmp_path_factory.mktemp("bert")
    read = [text for text, _ in texts(90)]
    tokenizer = make_tokenizer(read, 200, folder)
    losses: list[float] = []
    config = small_bert(len(tokenizer), hidden=64, layers=2)
    pretrain(config, tokenizer, read, folder, steps=60, tokens=32, batch_size=8, on_step=lambda _, x: losses.append(x))
    assert np.mean(losses[-10:]) < np.mean(losses[:5]), "masked words are learnt"
    return str(folder)


def test_labels_are_learnt_and_the_best_epoch_loads(base, tmp_path):
    summary = train_topics(base, tmp_path, texts(120), texts(30, seed=1), replace(QUICK, epochs=10))
    assert summary["best_accuracy"] > 0.9
    assert summary["labels"] == ["film", "sport", "tech"]
    model = load_topics(str(tmp_path / "best"))
    scores = model.scores(["the striker won the match in the league", "a phone with a new chip and a browser"])
    assert [model.labels[i] for i in scores.argmax(1)] == ["sport", "tech"]


def test_a_run_that_was_killed_goes_on_to_the_same_end(base, tmp_path):
    whole = train_topics(base, tmp_path / "whole", texts(60), texts(30, seed=1), QUICK)

    class Killed(Exception):
        pass

    def kill(step, total, loss, accuracy):
        if step == total // 2 and accuracy is None:
            raise Killed

    with pytest.raises(Killed):
        train_topics(base, tmp_path / "broken", texts(60), texts(30, seed=1), QUICK, kill)
    again = train_topics(base, tmp_path / "broken", texts(60), texts(30, seed=1), QUICK)
    assert [row["accuracy"] for row in again["history"]] == [row["accuracy"] for row in whole["history"]]
    one, two = (load_file(tmp_path / name / "last" / "model.safetensors") for name in ("whole", "broken"))
    assert all(torch.allclose(one[name], two[name], atol=1e-5) for name in one)


@pytest.mark.long
def test_from_nothing_too_a_killed_run_goes_on_with_the_same_words(tmp_path):
    options = {
        "manifest": Path("m.csv"),
        "base": "scratch",
        "options": replace(QUICK, epochs=2),
        "problems": Problems(),
    }
    given = {"validation": texts(12, seed=1), "pretrain_steps": 3, **options}
    whole = fit_topics(texts(30), tmp_path / "whole", **given)

    class Killed(Exception):
        pass

    def kill(step, total, loss, accuracy):
        if accuracy is not None:
            raise Killed

    with pytest.raises(Killed):
        fit_topics(texts(30), tmp_path / "broken", **given, on_progress=kill)
    vocabulary = (tmp_path / "broken" / "pretrained" / "tokenizer.json").read_bytes()
    again = fit_topics(texts(30), tmp_path / "broken", **given)
    assert (tmp_path / "broken" / "pretrained" / "tokenizer.json").read_bytes() == vocabulary
    assert len(again["history"]) == len(whole["history"]) == 2
    card = tmp_path / "broken" / "best" / "README.md"
    card.write_text(card.read_text() + "figures of evaluate\n")
    fit_topics(texts(30), tmp_path / "broken", **given)
    assert "figures of evaluate" in card.read_text(), "a run that is over changes nothing"


def test_a_classifier_of_other_labels_can_be_trained_on(base, tmp_path):
    train_topics(base, tmp_path / "one", texts(30), texts(12, seed=1), replace(QUICK, epochs=1))
    two = [(text, "film" if label == "film" else "other") for text, label in texts(30)]
    done = train_topics(str(tmp_path / "one" / "best"), tmp_path / "two", two, two, replace(QUICK, epochs=1))
    assert done["labels"] == ["film", "other"]
    with pytest.raises(Misconfigured, match="is neither a folder nor fetched"):
        train_topics(str(tmp_path / "none"), tmp_path / "three", two, two, QUICK)


def test_what_is_kept_back_has_no_near_copy_of_what_is_trained_on():
    pairs = texts(60)
    copied = [*pairs, *((text + " again", label) for text, label in pairs[:20])]
    kept, judged = split(copied, 0.25, seed=0)
    assert len(kept) + len(judged) == 80
    assert 10 <= len(judged) <= 22
    groups = near_copies([text for text, _ in [*kept, *judged]])
    assert not set(groups[: len(kept)]) & set(groups[len(kept) :])


def test_the_command_trains_from_nothing_and_says_what_it_left_out(tmp_path):
    rows = "".join(f"{text},{label}\n" for text, label in texts(90))
    (tmp_path / "news.csv").write_text("text,label\n" + rows + ",sport\n")
    command = ["train", "topics", "news.csv", "--out", "run", "--pretrain-steps", 4, "--epochs", 1, "--max-tokens", 32]
    done = nightscribe(tmp_path, *command, "--json")
    summary = json.loads(done.stdout)
    assert summary["texts"] + 0 < 90
    assert "Left out: empty text: 1 (row 91)" in done.stderr
    best = tmp_path / "run" / "best"
    card = (best / "README.md").read_text()
    assert "film, sport, tech" in card
    again = nightscribe(tmp_path, *command)
    assert "Best validation accuracy" in again.stdout
    judged = nightscribe(tmp_path, "evaluate", "topics", "news.csv", "--models", best, "--card", "news", "--json")
    assert json.loads(judged.stdout)["n"] == 90
    assert "<!-- evaluate news -->" in (best / "README.md").read_text()
    query = ["sql", "SELECT model, recipe FROM evaluations WHERE group_column IS NULL", "--json"]
    (row,) = json.loads(nightscribe(tmp_path, *query).stdout)
    assert row["model"] == str(best)
    assert len(row["recipe"]) == 12


def test_one_label_is_too_few(tmp_path, base):
    pairs = [(text, "same") for text, _ in texts(30)]
    options = {"manifest": Path("m.csv"), "base": base, "options": QUICK, "problems": Problems()}
    with pytest.raises(Misconfigured, match="30 texts with 1 labels are too few"):
        fit_topics(pairs, tmp_path, validation=pairs, **options)
