"""The catalogue, the recipes, and the demo models that lie in the repository."""

from __future__ import annotations

import pytest
from conftest import REPO

from tasks.errors import Misconfigured, ModelNotAvailable, UnknownModelSet
from tasks.models import chained, find_set, fingerprint, hot_words, language_model, read_catalog, recipes
from tasks.settings import Settings

CATALOG = REPO / "data/models/catalog.toml"


def made(**options):
    settings = Settings(catalog=CATALOG, **options)
    return recipes(find_set(settings), settings)


def test_the_catalogue_names_the_sets_of_the_documentation():
    sets = read_catalog(CATALOG)
    assert set(sets) == {"demo", "english", "thesis", "thesis-cv", "persian"}
    assert sets["english"].acoustic == "facebook/wav2vec2-base-960h"
    assert sets["persian"].lm is None
    assert sets["demo"].acoustic.endswith("data/models/asr-demo")


def test_an_unknown_set_names_the_known_ones():
    with pytest.raises(UnknownModelSet, match=r"demo, english, persian, thesis, thesis-cv"):
        find_set(Settings(catalog=CATALOG, models="nonsense"))


def test_a_folder_is_a_set_of_its_own(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    assert find_set(Settings(catalog=CATALOG, models=str(tmp_path))).acoustic == str(tmp_path)


def test_a_misspelt_key_in_a_catalogue_is_said(tmp_path):
    (tmp_path / "c.toml").write_text('[x]\nlanguage="en"\nlicence="?"\nacoustic="a"\nacustic="b"\n')
    with pytest.raises(Misconfigured, match="acustic"):
        read_catalog(tmp_path / "c.toml")


def test_each_setting_changes_the_recipes_of_its_stage_and_of_those_after_it():
    base = made()
    changed = {
        "window_s": ("acoustic", "decode", "cues", "topics"),
        "beam_width": ("decode", "cues", "topics"),
        "line_chars": ("cues",),
        "topic_keep": ("topics",),
    }
    for setting, stages in changed.items():
        other = made(**{setting: 30})
        differ = tuple(s for s in ("acoustic", "decode", "cues", "topics") if getattr(base, s) != getattr(other, s))
        assert differ == stages, setting
    assert made(batch_videos=3, decoders=2, device="cpu") == base, "how fast is no part of what"


def test_hot_words_are_part_of_the_decode_recipe_by_their_words(tmp_path):
    first, second = tmp_path / "a.txt", tmp_path / "b.txt"
    first.write_text("Nightscribe # the name\n\nDuckDB\n")
    second.write_text("DuckDB\nNightscribe\n")
    assert hot_words(Settings(hot_words=first)) == ["DuckDB", "Nightscribe"]
    assert made(hot_words=first).decode == made(hot_words=second).decode != made().decode
    with pytest.raises(Misconfigured, match="cannot be read"):
        hot_words(Settings(hot_words=tmp_path / "none.txt"))


def test_recipes_can_be_made_again_from_their_description():
    base = made()
    assert chained(base.detail) == base


def test_a_model_folder_is_known_by_its_content_and_not_by_its_card(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"x" * 100_000)
    (tmp_path / "README.md").write_text("one")
    before = fingerprint(str(tmp_path))
    (tmp_path / "README.md").write_text("two")
    assert fingerprint(str(tmp_path)) == before
    (tmp_path / "model.safetensors").write_bytes(b"x" * 99_999 + b"y")
    assert fingerprint(str(tmp_path)) != before


def test_a_language_model_that_is_not_here_says_how_to_fetch_it(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelNotAvailable) as caught:
        language_model(read_catalog(CATALOG)["english"])
    assert caught.value.next == "nightscribe models fetch patrickvonplaten/wav2vec2-base-960h-4-gram"


def test_the_demo_models_fit_into_a_repository_and_have_cards():
    for name, megabytes in (("asr-demo", 40), ("lm-demo", 20), ("topics-demo", 25)):
        folder = REPO / "data/models" / name
        assert sum(path.stat().st_size for path in folder.iterdir()) < megabytes * 1e6
        assert "Licence" in (folder / "README.md").read_text(encoding="utf-8")
