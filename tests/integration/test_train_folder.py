"""The folder of a training run: it holds one run, its card is whole after a kill, and what was put there stays."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sessions import cut
from training import QUICK, corpus  # noqa: F401

from tasks.errors import Misconfigured
from tasks.machine.folders import same_run, write_whole
from tasks.training.asr import Trainer
from tasks.training.checkpoints import STATE
from tasks.training.clips import Source
from tasks.training.fit import SCRATCH, Shape, fit
from tasks.training.options import TrainingOptions


def run(corpus: Path, folder: Path, options: TrainingOptions = QUICK, **given: Any) -> dict[str, Any]:
    whole = {"base": SCRATCH, "shape": Shape(64, 1, 0), "validation": corpus, "options": options} | given
    return fit(Source(corpus), folder / "run", **whole)


def test_a_folder_holds_one_run(corpus, tmp_path):
    run(corpus, tmp_path)
    for other in ({"base": "another"}, {"validation": None}, {"options": replace(QUICK, batch_size=3)}):
        with pytest.raises(Misconfigured, match="holds another run"):
            run(corpus, tmp_path, **other)
    assert run(corpus, tmp_path, replace(QUICK, max_steps=8))["steps"] == 8, "a run may go on for longer"


def test_a_command_that_made_nothing_can_be_mended(corpus, tmp_path):
    with pytest.raises(Misconfigured, match="too few"):
        run(corpus, tmp_path, validation=None)
    with pytest.raises(Misconfigured, match="neither a folder nor fetched"):
        run(corpus, tmp_path, base=str(tmp_path / "none"), shape=None)
    assert run(corpus, tmp_path)["steps"] == QUICK.max_steps


def test_with_other_noise_it_is_another_run(corpus, tmp_path):
    noise = tmp_path / "noise"
    noise.mkdir()
    cut(noise / "hum.wav", 3)
    run(corpus, tmp_path, noise=noise)
    assert run(corpus, tmp_path, noise=noise)["steps"] == QUICK.max_steps
    with pytest.raises(Misconfigured, match="holds another run: noise differ"):
        run(corpus, tmp_path)
    cut(noise / "more.wav", 2)
    with pytest.raises(Misconfigured, match="holds another run: noise differ"):
        run(corpus, tmp_path, noise=noise)


@pytest.mark.parametrize("longer", [0.3, 0.9])
def test_the_card_is_of_the_weights_that_are_kept(corpus, tmp_path, monkeypatch, longer):
    """An average was the best; a longer run finds none better, or does."""
    options = replace(QUICK, average=2, max_steps=4)
    scores = iter([0.8, 0.7, 0.4, 0.8, longer])
    monkeypatch.setattr(Trainer, "validate", lambda run: dict.fromkeys(("wer", "cer"), next(scores)))
    run(corpus, tmp_path, options)
    card = tmp_path / "run" / "best" / "README.md"
    average = "the average of 2 checkpoints, the last ones up to 4"
    assert f"**steps**: 4, {average}\n" in card.read_text()
    table = "<!-- evaluate test -->\nfigures\n<!-- end test -->\n"
    card.write_text(card.read_text() + table)
    summary = run(corpus, tmp_path, replace(options, max_steps=6))
    text = card.read_text()
    if longer < 0.4:
        assert f"**steps**: 6, {average.replace('4', '6')}\n" in text
        assert table not in text, "they are of other weights"
    else:
        assert f"**steps**: 6, {average}\n" in text
        assert text.count(table) == 1
        assert summary["averaged"]["wer"] == 0.9
    assert f"WER {min(0.4, longer):.1%}" in text


@pytest.mark.parametrize("broken_at", ["history.csv", "curves.png", "README.md"])
def test_a_run_that_was_killed_while_its_last_card_was_written_gets_it_whole(
    corpus,
    tmp_path,
    monkeypatch,
    broken_at,
):
    class Killed(Exception):
        pass

    def killed(path: Path, content: str | bytes) -> None:
        if path.name == broken_at and Path(path.parent, "README.md").exists():
            raise Killed
        write_whole(path, content)

    best = tmp_path / "run" / "best"
    options = replace(QUICK, validate_every=2, max_steps=4)
    with monkeypatch.context() as patch:
        patch.setattr("tasks.training.fit.write_whole", killed)
        patch.setattr(Trainer, "validate", lambda run: {"wer": 1.0, "cer": 1.0})  # the first stays the best
        with pytest.raises(Killed):
            run(corpus, tmp_path, options)
    assert "**steps**: 2, the best after 2" in (best / "README.md").read_text()
    run(corpus, tmp_path, options)
    assert "**steps**: 4, the best after 2" in (best / "README.md").read_text()
    assert len((best / "history.csv").read_text().splitlines()) == 3
    assert (best / "curves.png").read_bytes().endswith(b"IEND\xaeB`\x82")


def test_what_lies_in_the_best_model_stays_there(corpus, tmp_path, monkeypatch):
    run(corpus, tmp_path)
    best = tmp_path / "run" / "best"
    (best / "language_model").mkdir()
    (best / "language_model" / "lm.binary").write_bytes(b"x")
    with (best / "README.md").open("a") as handle:
        handle.write("<!-- evaluate test -->\nfigures\n<!-- end test -->\n")
    run(corpus, tmp_path)
    assert "figures" in (best / "README.md").read_text(), "a run that is over changes nothing"
    monkeypatch.setattr(Trainer, "validate", lambda run: {"wer": 0.0, "cer": 0.0})
    before = (best / "model.safetensors").read_bytes()
    run(corpus, tmp_path, replace(QUICK, max_steps=8))
    assert (best / "model.safetensors").read_bytes() != before
    assert (best / "language_model" / "lm.binary").read_bytes() == b"x"


@pytest.mark.parametrize("average", [0.3, 0.9])
def test_a_run_from_before_it_was_noted_which_weights_were_kept_goes_on(corpus, tmp_path, monkeypatch, average):
    options = replace(QUICK, average=2, max_steps=4)
    scores = iter([0.8, 0.7, average])
    monkeypatch.setattr(Trainer, "validate", lambda run: dict.fromkeys(("wer", "cer"), next(scores)))
    run(corpus, tmp_path, options)
    state = tmp_path / "run" / "last" / STATE
    old = json.loads(state.read_text())
    kept = old.pop("kept")
    state.write_text(json.dumps(old))
    assert run(corpus, tmp_path, options)["kept"] == kept
    assert kept["wer"] == min(0.7, average)


def test_of_several_processes_one_notes_what_the_run_is_of(tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "1")
    same_run(tmp_path, {"base": "a"}, made=("last",))
    assert not (tmp_path / "run.json").exists()
    monkeypatch.setenv("RANK", "0")
    same_run(tmp_path, {"base": "a"}, made=("last",))
    (tmp_path / "last").mkdir()
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(Misconfigured, match="base differ"):
        same_run(tmp_path, {"base": "b"}, made=("last",))
