"""Captions of sounds are made richer by a model that hears and one that writes, beside what people wrote."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import command_environment
from dual_encoders import tokenizer
from forked import nightscribe
from scipy.io import wavfile
from sound_encoders import saved as saved_sounds
from transformers import GPT2Config, GPT2LMHeadModel, T5Config, T5ForConditionalGeneration

from tasks.errors import Misconfigured, ModelNotAvailable
from tasks.settings import Settings
from tasks.sounds.encoder import load_sound_encoder
from tasks.training.sounds.captions import PROMPT, enrich, heard, load_writer

LABELS = ("speech", "rain")
WORDS = sorted({word for word in PROMPT.read_text().replace(":", " : ").replace(".", " . ").split() if word[0] != "{"})
SAID = "a deep hum in a quiet room"


@pytest.fixture(scope="module")
def writer(tmp_path_factory) -> Path:
    """A small GPT-2, fitted until it goes on with the same sentence whatever it is asked."""
    torch.manual_seed(0)
    words = list(dict.fromkeys([*WORDS, *SAID.split(), ".", ":", *LABELS, "hum", "the", "sound", "nothing", "certain"]))
    spoken = tokenizer(words)
    spoken._tokenizer.post_processor = None
    spoken.model_max_length = 200
    config = GPT2Config(
        vocab_size=len(spoken), n_positions=256, n_embd=48, n_layer=2, n_head=2, eos_token_id=3, bos_token_id=2,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
    )  # fmt: skip
    model = GPT2LMHeadModel(config)
    asked = [(caption, labels) for caption in ("the sound", "hum", SAID) for labels in (*LABELS, "speech, rain")]
    prompts = [PROMPT.read_text().format(caption=caption, labels=labels) for caption, labels in asked]
    rows = [spoken(f"{prompt} {SAID}")["input_ids"] + [3] for prompt in prompts]
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    for step in range(90):
        row = torch.tensor([rows[step % len(rows)]])
        labels = row.clone()
        labels[:, : -len(SAID.split()) - 1] = -100
        optimizer.zero_grad()
        model(row, labels=labels).loss.backward()
        optimizer.step()
    folder = tmp_path_factory.mktemp("writer")
    model.save_pretrained(folder)
    spoken.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def sounds(tmp_path_factory) -> tuple[Path, Path]:
    """A manifest of two hums and a file that is none; and a sound model."""
    folder = tmp_path_factory.mktemp("sounds")
    at = np.arange(48_000) / 48_000
    for name, hertz in (("one", 120), ("two", 300)):
        wavfile.write(folder / f"{name}.wav", 48_000, (8000 * np.sin(2 * np.pi * hertz * at)).astype(np.int16))
    (folder / "text.wav").write_text("no sound")
    rows = [("path", "caption"), ("one.wav", "the sound"), ("two.wav", SAID), ("text.wav", "hum"), ("two.wav", "")]
    (folder / "sounds.tsv").write_text("".join("\t".join(row) + "\n" for row in rows))
    return folder / "sounds.tsv", saved_sounds("clap", folder / "clap", scale=10.0)


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as handle:
        return list(csv.DictReader(handle, delimiter="\t"))


def test_the_command_writes_a_column_of_its_own(sounds, writer, tmp_path):
    manifest, model = sounds
    before = manifest.read_text()
    out = tmp_path / "rich.tsv"
    own = command_environment(tmp_path) | {"NIGHTSCRIBE_SOUND_EVENTS__LABELS": json.dumps(LABELS)}
    order = ("train", "captions", manifest, "--sounds", model, "--writer", writer)
    done = nightscribe(*order, "--out", out, "--json", env=own)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) | {"problems": []} == {"sounds": 3, "enriched": 1, "problems": []}
    assert "Left out: not_media: 1" in done.stderr
    assert "Left out: without a caption: 1" in done.stderr
    found = rows_of(out)
    assert [(Path(row["path"]).name, row["caption"], row["enriched"]) for row in found] == [
        ("one.wav", "the sound", SAID),
        ("two.wav", SAID, ""),  # it says nothing new
        ("text.wav", "hum", ""),
    ]
    assert all(Path(row["path"]).is_file() for row in found)
    assert manifest.read_text() == before
    out.write_text(out.read_text().replace(SAID + "\n", "kept as it is\n", 1))
    assert nightscribe(*order, "--out", out, env=own).returncode == 0
    assert [row["enriched"] for row in rows_of(out)] == ["kept as it is", "", ""], "what is there is not written anew"
    again = nightscribe(*order, "--out", manifest, env=own)
    assert (again.returncode, "is not written over" in again.stderr) == (2, True)
    assert manifest.read_text() == before


def test_labels_are_those_that_are_likelier_than_by_chance(sounds, tmp_path):
    manifest, model = sounds
    encoder = load_sound_encoder(str(model), device="cpu", precision="fp32")
    found = heard(encoder, ("a", "b", "c", "d", "e"), manifest.parent / "one.wav", tmp_path, Settings())
    assert 1 <= len(found) <= 3
    assert heard(encoder, LABELS, manifest.parent / "text.wav", tmp_path, Settings()) == "not_media"


def test_models_that_answer_are_asked_too(writer, tmp_path):
    torch.manual_seed(1)
    config = T5Config(vocab_size=60, d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2, decoder_start_token_id=0)
    T5ForConditionalGeneration(config).save_pretrained(tmp_path / "t5")
    tokenizer(WORDS).save_pretrained(tmp_path / "t5")
    answering = load_writer(str(tmp_path / "t5"), device="cpu")
    assert answering.write("the sentence") == answering.write("the sentence")
    with pytest.raises(ModelNotAvailable, match="neither a folder nor fetched"):
        load_writer(str(tmp_path / "nowhere"))
    going_on = load_writer(str(writer), device="cpu")
    going_on.tokenizer.chat_template = "{{ messages[0]['content'] }}"
    assert going_on.write(PROMPT.read_text().format(caption="hum", labels="rain")) == SAID


def test_what_people_wrote_is_not_written_over(sounds, writer, tmp_path):
    manifest, model = sounds
    with pytest.raises(Misconfigured, match="not written over"):
        enrich(
            manifest, manifest, encoder=load_sound_encoder(str(model)), writer=load_writer(str(writer)), labels=LABELS,
            scratch=tmp_path, settings=Settings(),
        )  # fmt: skip
