"""`models check`: what a set is, and what is off with it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from conftest import REPO, command_environment
from forked import nightscribe
from sessions import cut, session_on
from test_families import FAMILIES, make_model

from tasks.errors import ModelNotAvailable
from tasks.evaluation import check
from tasks.lake.store import Lake
from tasks.models.catalog import find_set
from tasks.settings import Settings


def checked(tmp_path: Path, name: object, code: int) -> dict:
    done = nightscribe("models", "check", name, "--json", env=command_environment(tmp_path))
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout)


def test_the_demo_set_is_well(tmp_path):
    found = checked(tmp_path, "demo", 0)
    assert found["problems"] == []
    assert found["word_error"] < 0.2
    assert "central bank" in found["searched"]
    assert (found["blank"], found["writes"], found["case"]) == (0, "letters", "lower")
    assert found["writable"] == 1.0
    assert found["times_real_time"] > 1


def test_a_model_that_hears_nothing_right_is_said(tmp_path):
    found = checked(tmp_path, make_model(tmp_path / "model", *FAMILIES["wav2vec2 with group norm"]), 1)
    [problem] = found["problems"]
    assert problem.startswith("It writes more tokens than anybody says")
    assert found["searched"] == ""


@pytest.fixture
def other_alphabet(tmp_path) -> Path:
    """The demo model with a language model of words that it cannot write."""
    folder = tmp_path / "model"
    shutil.copytree(REPO / "data/models/asr-demo", folder)
    shutil.copytree(REPO / "data/models/lm-demo", folder / "language_model")
    (folder / "language_model" / "unigrams.txt").write_text("\n".join(["слово", "другое", "мир"] * 10 + ["the"]))
    return folder


def test_a_language_model_of_another_alphabet_is_refused_before_any_video_is_touched(other_alphabet, tmp_path):
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    cut(bucket / "one.wav", 3)
    with session_on(bucket, tmp_path, models=str(other_alphabet)) as session:
        with pytest.raises(ModelNotAvailable, match="another alphabet") as caught:
            session.batches()
        assert "nightscribe models check" in caught.value.next
    assert not Lake(str(tmp_path / "lake")).files("videos")
    done = nightscribe("index", bucket, "--models", other_alphabet, "--json", env=command_environment(tmp_path))
    assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (2, "model_not_available"), done.stderr
    found = checked(tmp_path, other_alphabet, 1)
    assert any("language model's words" in problem for problem in found["problems"])


def test_so_is_one_in_arpa_format_which_lists_its_words_itself(other_alphabet, tmp_path):
    folder = other_alphabet / "language_model"
    for file in folder.iterdir():
        file.unlink()
    unigrams = "".join(f"-1\t{word}\t0\n" for word in ("<s>", "</s>", "<unk>", "слово", "мир"))
    (folder / "lm.arpa").write_text(
        f"\\data\\\nngram 1=5\nngram 2=1\n\n\\1-grams:\n{unigrams}\n\\2-grams:\n-0.2\tслово мир\n\n\\end\\\n"
    )
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    cut(bucket / "one.wav", 3)
    with session_on(bucket, tmp_path, models=str(other_alphabet)) as session, pytest.raises(ModelNotAvailable):
        session.batches()


def test_a_list_of_words_that_is_missing_is_said(other_alphabet):
    (other_alphabet / "language_model" / "unigrams.txt").unlink()
    settings = Settings(models=str(other_alphabet), scratch_free_gb=0)
    [problem] = check.check_set(find_set(settings), settings).problems
    assert "without the list of its words" in problem


def test_a_search_that_writes_nothing_is_said(monkeypatch):
    monkeypatch.setattr(check, "decode_many", lambda spec, utterances, frame_ms: [])
    settings = Settings(catalog=REPO / "data/models/catalog.toml", scratch_free_gb=0)
    found = check.check_set(find_set(settings), settings)
    assert found.heard
    assert found.problems == ["The beam search writes nothing where the best letters alone write words."]


def test_a_language_model_whose_list_begins_with_numbers_is_taken(other_alphabet, tmp_path):
    words = [str(n) for n in range(30_000)] + ["the", "bank"] * 30_000
    (other_alphabet / "language_model" / "unigrams.txt").write_text("\n".join(words))
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    cut(bucket / "one.wav", 3)
    with session_on(bucket, tmp_path, models=str(other_alphabet)) as session:
        assert len(list(session.batches())) == 1


def test_features_of_an_unknown_kind_are_refused(tmp_path):
    folder = Path(make_model(tmp_path / "model", *FAMILIES["mel features"]))
    settings = json.loads((folder / "preprocessor_config.json").read_text())
    for key, value, said in (
        ("feature_extractor_type", "ClapFeatureExtractor", "kind"),
        ("sampling_rate", 8000, "8000 Hz"),
    ):
        (folder / "preprocessor_config.json").write_text(json.dumps({**settings, key: value}))
        done = nightscribe("models", "check", folder, env=command_environment(tmp_path))
        assert done.returncode == 2
        assert said in done.stderr
