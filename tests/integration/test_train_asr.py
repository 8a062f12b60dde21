"""Training a speech model: it goes on after a kill, keeps the best, leaves out what it cannot use."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from conftest import REPO, command_environment
from forked import nightscribe
from safetensors.torch import load_file
from sessions import cut
from test_families import CONVOLUTIONS, FAMILIES, POSITIONS, SMALL, make_model

from tasks.errors import Misconfigured
from tasks.training.asr import Trainer
from tasks.training.base_model import load_for_training
from tasks.training.clips import Source, open_store
from tasks.training.fit import Shape, alphabet_of, fit
from tasks.training.frontend import cosine_bank, log_mel, teach_frontend
from tasks.training.options import TrainingOptions, learning_rate_at
from tasks.training.scratch import ALPHABET, small_model, small_processor

TEXTS = ("a small film", "the story of a keeper", "wins the festival", "of light")
QUICK = TrainingOptions(
    learning_rate=1e-3, warmup_steps=2, max_steps=9, batch_size=2, validate_every=3, precision="fp32", patience=100
)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    """A manifest of twelve short clips."""
    folder = tmp_path_factory.mktemp("corpus")
    lines = []
    for number in range(12):
        cut(folder / f"{number}.wav", 2 + number % 3)
        lines.append(f"{number}.wav\t{TEXTS[number % 4]}\n")
    (folder / "clips.tsv").write_text("path\ttext\n" + "".join(lines))
    return folder / "clips.tsv"


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> str:
    return make_model(tmp_path_factory.mktemp("base"), *FAMILIES["wav2vec2 with group norm"])


def trainer(corpus: Path, base: str, folder: Path, options: TrainingOptions = QUICK) -> Trainer:
    model, processor = load_for_training(base)
    clips = open_store(Source(corpus), corpus.parent / "cache", alphabet=ALPHABET)
    return Trainer(model, processor, clips, clips.only(range(4)), folder, options)


class Killed(Exception):
    pass


def test_a_run_that_is_broken_off_again_and_again_ends_as_an_unbroken_one(corpus, base, tmp_path):
    whole = trainer(corpus, base, tmp_path / "whole")
    whole.fit()
    rng = random.Random(4)
    broken = 0
    while True:
        at = rng.randrange(1, 10)

        def kill(progress, at=at):
            if progress.step == at and at != QUICK.max_steps:
                raise Killed

        again = trainer(corpus, base, tmp_path / "broken")
        try:
            again.fit(kill)
            break
        except Killed:
            broken += 1
        if broken > 4:
            again = trainer(corpus, base, tmp_path / "broken")
            again.fit()
            break
    assert broken
    assert [row["step"] for row in again.history] == [3, 6, 9]
    # The first mean after a break lacks the steps before it; all else is the same.
    assert [row["wer"] for row in again.history] == [row["wer"] for row in whole.history]
    assert again.stale == whole.stale
    for kept in ("last", "best"):
        one, two = (load_file(tmp_path / name / kept / "model.safetensors") for name in ("whole", "broken"))
        assert one.keys() == two.keys()
        for name in one:
            assert torch.allclose(one[name], two[name], atol=1e-6), (kept, name)


@pytest.mark.long
def test_a_killed_command_goes_on_and_its_model_indexes(corpus, base, tmp_path):
    command = [sys.executable, "-m", "nightscribe", "train", "asr", corpus, "--base", base, "--out", tmp_path / "run"]
    command += ["--validation", corpus, "--max-steps", 12, "--validate-every", 2, "--batch-size", 2, "--json"]
    words = [str(word) for word in command]
    environment = command_environment(tmp_path)
    process = subprocess.Popen(
        words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, cwd=REPO, env=environment
    )
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("step 4:"):
            time.sleep(random.random())
            os.kill(process.pid, signal.SIGKILL)
            break
    else:
        pytest.fail("it ended before it could be killed")
    process.wait()
    process.stderr.close()
    done = subprocess.run(words, capture_output=True, text=True, cwd=REPO, env=environment, check=True)
    summary = json.loads(done.stdout)
    assert [row["step"] for row in summary["history"]] == [2, 4, 6, 8, 10, 12]
    assert "step 2:" not in done.stderr, "it began again"
    best = tmp_path / "run" / "best"
    assert {"README.md", "curves.png", "history.csv", "model.safetensors"} <= {path.name for path in best.iterdir()}
    with (best / "history.csv").open() as handle:
        assert [int(row["step"]) for row in csv.DictReader(handle)] == [2, 4, 6, 8, 10, 12]
    assert "clips.tsv: 12 clips" in (best / "README.md").read_text()
    assert (best / "curves.png").read_bytes().startswith(b"\x89PNG")
    nightscribe("index", corpus.parent, "--models", best, "--limit", 1, cwd=REPO, env=environment, check=True)


def test_the_best_validation_is_kept_and_training_ends_when_nothing_improves(corpus, base, tmp_path):
    options = TrainingOptions(
        warmup_steps=1, max_steps=50, batch_size=2, validate_every=1, precision="fp32", patience=3, seed=1
    )
    run = trainer(corpus, base, tmp_path, options)
    scores = iter([{"wer": w, "cer": w} for w in (0.9, 0.5, 0.7, 0.5, 0.6, 0.1)])
    kept: list[torch.Tensor] = []

    def validate():
        kept.append(run.model.lm_head.weight.detach().clone())
        return next(scores)

    run.validate = validate
    summary = run.fit()
    assert summary["steps"] == 5  # the second is the best, and three in a row after it are not better
    assert summary["best_wer"] == 0.5
    assert torch.equal(load_file(tmp_path / "best" / "model.safetensors")["lm_head.weight"], kept[1])
    assert trainer(corpus, base, tmp_path, options).fit()["steps"] == 5, "a run that has ended stays so"


def test_a_batch_that_does_not_fit_into_memory_is_left_out_by_name(corpus, base, tmp_path, monkeypatch):
    run = trainer(corpus, base, tmp_path)
    real = Trainer.loss

    def loss(self, batch):
        if batch.lengths.max() > 3.5 * 16_000:
            raise torch.OutOfMemoryError("no memory")
        return real(self, batch)

    monkeypatch.setattr(Trainer, "loss", loss)
    summary = run.fit()
    assert summary["steps"] == 9
    assert {"2.wav", "5.wav", "8.wav", "11.wav"} >= set(summary["too_large"])
    assert summary["too_large"]


def test_a_step_that_is_not_finite_changes_nothing(corpus, base, tmp_path):
    run = trainer(corpus, base, tmp_path)
    before = {name: value.clone() for name, value in run.model.state_dict().items()}
    run.loss = lambda batch: sum(p.sum() for p in run.model.parameters()) * float("nan")
    assert np.isnan(run.train_step(0, None))
    assert all(torch.equal(before[name], value) for name, value in run.model.state_dict().items())


def test_manifest_problems_are_told_by_name_and_training_goes_on(corpus, base, tmp_path):
    broken = corpus.parent / "broken.tsv"
    broken.write_text(corpus.read_text() + "gone.wav\thello\n0.wav\t\n0.wav\t日本語日本語\n")
    summary = fit(Source(broken), tmp_path / "run", base=base, options=QUICK, validation=corpus)
    text = "\n".join(summary["problems"])
    assert "missing file: 1 (gone.wav)" in text
    assert "empty text" in text
    assert summary["clips"] == 12
    assert summary["steps"] == 9
    assert "gone.wav" in (tmp_path / "run" / "best" / "README.md").read_text()


def test_a_checkpoint_in_half_precision_is_trained_in_full(base, tmp_path):
    model, processor = load_for_training(base)
    model.to(torch.bfloat16).save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    assert {p.dtype for p in load_for_training(str(tmp_path))[0].parameters()} == {torch.float32}


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU computes with fp16")
def test_half_precision_without_a_gpu_is_refused(corpus, base, tmp_path):
    with pytest.raises(Misconfigured, match="fp16 is for GPUs"):
        trainer(corpus, base, tmp_path, replace(QUICK, precision="fp16"))


def test_noise_that_is_none_is_said(corpus, base, tmp_path):
    (tmp_path / "noise" / "deep").mkdir(parents=True)
    with pytest.raises(Misconfigured, match="has no recording that can be used"):
        fit(Source(corpus), tmp_path / "a", base=base, options=QUICK, validation=corpus, noise=tmp_path / "noise")
    cut(tmp_path / "noise" / "deep" / "hum.wav", 3)
    done = fit(Source(corpus), tmp_path / "b", base=base, options=QUICK, validation=corpus, noise=tmp_path / "noise")
    assert done["steps"] == 9


@pytest.mark.filterwarnings("ignore:Support for mismatched key_padding_mask")  # inside WavLM
@pytest.mark.parametrize("name", ["hubert", "wavlm", "wav2vec2 with layer norm", "mel features"])
def test_any_family_can_be_trained(name, corpus, tmp_path):
    folder = make_model(tmp_path / "base", *FAMILIES[name])
    run = trainer(corpus, folder, tmp_path / "run")
    first = run.fit()["history"]
    assert len(first) == 3
    assert first[-1]["loss"] < first[0]["loss"]


def test_a_checkpoint_without_letters_gets_some(corpus, tmp_path):
    torch.manual_seed(0)
    config = transformers.Wav2Vec2Config(**{**SMALL, "vocab_size": 32}, **CONVOLUTIONS, **POSITIONS)
    transformers.Wav2Vec2Model(config).save_pretrained(tmp_path / "base")
    transformers.Wav2Vec2FeatureExtractor(do_normalize=True).save_pretrained(tmp_path / "base")
    model, processor = load_for_training(str(tmp_path / "base"))
    assert alphabet_of(processor.tokenizer) == "".join(sorted(ALPHABET))
    assert model.lm_head.out_features == len(processor.tokenizer) == 30
    assert trainer(corpus, str(tmp_path / "base"), tmp_path / "run").fit()["steps"] == 9


def test_a_base_that_is_none_says_so(tmp_path):
    with pytest.raises(Misconfigured, match="No speech model could be loaded"):
        load_for_training(str(tmp_path))


def test_the_rate_rises_stays_and_falls():
    options = TrainingOptions(learning_rate=1.0, warmup_steps=10, max_steps=100, decay_steps=40)
    assert [round(learning_rate_at(step, options), 2) for step in (0, 4, 9, 30, 60, 80, 99)] == [
        0.1, 0.5, 1.0, 1.0, 1.0, 0.5, 0.03,
    ]  # fmt: skip
    linear = TrainingOptions(learning_rate=1.0, warmup_steps=10, max_steps=110)
    assert [round(learning_rate_at(step, linear), 2) for step in (9, 10, 60, 109)] == [1.0, 1.0, 0.5, 0.01]


def test_convolutions_learn_to_be_a_mel_filterbank(corpus):
    clips = open_store(Source(corpus), corpus.parent / "cache", alphabet=ALPHABET)
    model = small_model(30, hidden=256, layers=1)
    seen = []
    unexplained = teach_frontend(model, clips, steps=30, on_step=lambda step, share: seen.append(share))
    assert len(seen) == 30
    assert unexplained < 0.7 * seen[0]
    bank = cosine_bank(64, 400)
    assert torch.allclose(bank.norm(dim=2), torch.ones(64, 1), atol=1e-5)
    spectrum = torch.fft.rfft(bank[:, 0], 16_000).abs().argmax(1)
    assert (spectrum[4:] - spectrum[:-4] >= 0).all(), "four phases of each centre, centres rising"


def test_convolutions_learn_from_clips_of_one_second_too(tmp_path):
    lines = []
    for number in range(3):
        cut(tmp_path / f"{number}.wav", 1)
        lines.append(f"{number}.wav\thello\n")
    (tmp_path / "m.tsv").write_text("path\ttext\n" + "".join(lines))
    clips = open_store(Source(tmp_path / "m.tsv"), tmp_path / "cache", alphabet=ALPHABET)
    assert np.isfinite(teach_frontend(small_model(30, hidden=64, layers=1), clips, steps=2))


def test_log_mel_energies_follow_the_pitch_and_not_the_channel():
    time_ = torch.arange(32_000) / 16_000
    low, high = (torch.sin(2 * torch.pi * hz * time_)[None] for hz in (300, 3000))
    both = torch.cat([torch.cat([low[:, :16_000], high[:, :16_000]], 1)])
    found = log_mel(both, 98, 1120, 320)
    assert found.shape == (1, 98, 160)
    assert log_mel(both, 46, 2080, 640).shape == (1, 46, 320)
    assert found[0, 10, :80].argmax() < found[0, 90, :80].argmax()
    louder = log_mel(both * 3, 98, 1120, 320)
    assert torch.equal(found[0, :, :80].argmax(1)[5:45], louder[0, :, :80].argmax(1)[5:45])


def test_a_model_from_nothing_learns_twelve_clips(corpus, tmp_path):
    options = TrainingOptions(
        learning_rate=2e-3, warmup_steps=10, max_steps=30, batch_s=40.0, validate_every=15, decay_steps=0,
        intermediate_ctc=0.3, augmentation=None,
    )  # fmt: skip
    summary = fit(Source(corpus), tmp_path, base="scratch", options=options, validation=corpus, shape=Shape(128, 2, 20))
    assert summary["history"][-1]["loss"] < summary["history"][0]["loss"]


def test_a_step_on_clips_as_long_as_those_just_validated(corpus, tmp_path):
    clips = open_store(Source(corpus), corpus.parent / "cache", alphabet=ALPHABET)
    options = replace(QUICK, batch_size=None, batch_s=120.0, max_steps=2, validate_every=1, augmentation=None)
    run = Trainer(small_model(30, hidden=128, layers=1), small_processor(), clips, clips, tmp_path, options)
    assert len(run.transcribe(clips)) == 12
    assert run.fit()["steps"] == 2


@pytest.mark.long
def test_two_processes_train_one_model(corpus, base, tmp_path):
    command = ["-m", "accelerate.commands.launch", "--cpu", "--num_processes", "2", "--num_machines", "1"]
    command += ["--mixed_precision", "no", "--dynamo_backend", "no", "-m", "nightscribe", "train", "asr", str(corpus)]
    command += ["--base", base, "--out", str(tmp_path / "run"), "--validation", str(corpus), "--max-steps", "4"]
    command += ["--validate-every", "2", "--batch-size", "4", "--precision", "fp32"]
    environment = command_environment(tmp_path, OMP_NUM_THREADS="1")
    done = subprocess.run(
        [sys.executable, *command], capture_output=True, text=True, cwd=REPO, env=environment, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    rows = [json.loads(line) for line in (tmp_path / "run" / "history.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [2, 4]
    assert "12 clips" in (tmp_path / "run" / "best" / "README.md").read_text()
