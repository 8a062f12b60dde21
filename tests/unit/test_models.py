"""The catalogue, the recipes, and the demo models that lie in the repository."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from conftest import REPO

from tasks.errors import Misconfigured, ModelNotAvailable, UnknownModelSet
from tasks.models.catalog import LanguageModelFiles, find_set, fingerprint, language_model, read_catalog
from tasks.settings import Settings
from tasks.stages.recipes import chained, recipes
from tasks.stages.sound_events.options import LABELS
from tasks.stages.sound_events.options import options as sound_options
from tasks.stages.words.options import hot_words, options
from tasks.stages.words.search import search_weights

CATALOG = REPO / "data/models/catalog.toml"


def made(**options):
    settings = Settings(catalog=CATALOG, **options)
    return recipes(find_set(settings), settings)


def test_the_catalogue_names_the_sets_of_the_documentation():
    sets = read_catalog(CATALOG)
    assert set(sets) == {
        *("demo", "english", "parakeet", "parakeet-small", "wav2vec2", "thesis", "thesis-cv"),
        *("persian", "romanian", "multilingual", "demo-all"),
    }
    assert sets["wav2vec2"].acoustic.path == "facebook/wav2vec2-base-960h"
    assert sets["persian"].ref("lm") is None
    assert sets["demo"].acoustic.path.endswith("data/models/asr-demo")


def test_speed_and_memory_of_a_set_are_those_that_were_measured():
    """In the catalogue and in the documentation: `nightscribe bench models --full --write`."""
    figures = (REPO / "docs/figures.md").read_text(encoding="utf-8").split("<!-- bench models -->")[1]
    guide = (REPO / "docs/models.md").read_text(encoding="utf-8")
    measured = re.findall(r"^\| `([\w-]+)` \|.*\| ([\d.]+) \| ([\d.]+ GB) \|$", figures.split("<!-- end")[0], re.M)
    assert len(measured) == 8
    sets = read_catalog(CATALOG)
    for name, speed, memory in measured:
        assert sets[name].measured == f"{speed} times real time, {memory}"
        assert re.search(rf"^\| `{name}`.*\| {speed}, {memory} \|$", guide, re.M), name


def test_an_unknown_set_names_the_known_ones():
    with pytest.raises(
        UnknownModelSet,
        match="demo, demo-all, english, multilingual, parakeet, parakeet-small, persian, romanian, thesis, thesis-cv, wav2vec2",
    ):
        find_set(Settings(catalog=CATALOG, models="nonsense"))


def test_a_folder_is_a_set_of_its_own(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    assert find_set(Settings(catalog=CATALOG, models=str(tmp_path))).acoustic.path == str(tmp_path)


def test_a_misspelt_key_in_a_catalogue_is_said(tmp_path):
    (tmp_path / "c.toml").write_text('[x]\nlanguage="en"\nlicence="?"\nacoustic="a"\nacustic="b"\n')
    with pytest.raises(Misconfigured, match="acustic"):
        read_catalog(tmp_path / "c.toml")


def test_each_setting_changes_the_recipes_of_its_stage_and_of_those_after_it():
    base = made()
    changed = {
        "window_s": ("emissions", "words", "cues", "passages", "topics"),
        "beam_width": ("words", "cues", "passages", "topics"),
        "lm_weight": ("words", "cues", "passages", "topics"),
        "word_bonus": ("words", "cues", "passages", "topics"),
        "blank_penalty": ("words", "cues", "passages", "topics"),
        "line_chars": ("cues",),
        "topic_keep": ("topics",),
    }
    for setting, stages in changed.items():
        other = made(**{setting: 30})
        differ = tuple(stage for stage in base.hashes if base[stage] != other[stage])
        assert differ == stages, setting
    assert made(batch_videos=3, decoders=2, device="cpu") == base, "how fast is no part of what"


def test_frames_are_off_without_a_model_and_have_a_recipe_of_their_own(tmp_path):
    demo = find_set(Settings(catalog=CATALOG))
    assert "frames" not in recipes(replace(demo, models={"acoustic": demo.acoustic}), Settings()).hashes
    seeing = demo.with_model("pictures", str(tmp_path))
    base = recipes(seeing, Settings())
    for setting in ({"frame_every_s": 5}, {"frames_max": 7}, {"audio_track": 1}):
        other = recipes(seeing, Settings(**setting))
        assert other["frames"] != base["frames"], setting
    others = {name for name in base.hashes if recipes(seeing, Settings(frame_every_s=5))[name] != base[name]}
    assert others == {"frames"}
    assert recipes(seeing, Settings(precision="bf16")).hashes == base.hashes


def test_a_language_model_of_the_hub_is_known_by_its_commit():
    english = read_catalog(CATALOG)["wav2vec2"]
    one, other = (
        recipes(english.with_model("lm", english.ref("lm").path, commit), Settings()) for commit in ("a" * 40, "b" * 40)
    )
    assert one["emissions"] == other["emissions"]
    assert one["words"] != other["words"] != recipes(english, Settings())["words"]


def test_a_setting_comes_before_the_set_and_the_set_before_what_was_tuned():
    demo = read_catalog(CATALOG)["demo"]
    files = LanguageModelFiles("lm.binary", None, lm_weight=0.7, word_bonus=0.5, unknown_score=-8.0, blank_penalty=1.0)
    tuned = search_weights(options(demo, Settings()), files)
    assert tuned == {
        "lm_weight": 0.7, "word_bonus": 0.5, "unknown_score": -8.0, "score_boundary": True, "blank_penalty": 1.0,
    }  # fmt: skip
    of_set = search_weights(options(replace(demo, lm_weight=0.1, word_bonus=0.2, blank_penalty=0.0), Settings()), files)
    assert [of_set[name] for name in ("lm_weight", "word_bonus", "blank_penalty")] == [0.1, 0.2, 0.0]
    settings = Settings(lm_weight=0.3, word_bonus=0.4, blank_penalty=0.6)
    said = search_weights(options(replace(demo, lm_weight=0.1, blank_penalty=0.0), settings), files)
    assert [said[name] for name in ("lm_weight", "word_bonus", "blank_penalty")] == [0.3, 0.4, 0.6]
    assert search_weights(options(demo, Settings()), None)["blank_penalty"] == 0.0


def test_hot_words_are_part_of_the_decode_recipe_by_their_words(tmp_path):
    first, second = tmp_path / "a.txt", tmp_path / "b.txt"
    first.write_text("Nightscribe # the name\n\nDuckDB\n")
    second.write_text("DuckDB\nNightscribe\n")
    assert hot_words(first) == ["DuckDB", "Nightscribe"]
    assert made(hot_words=first)["words"] == made(hot_words=second)["words"] != made()["words"]
    with pytest.raises(Misconfigured, match="cannot be read"):
        hot_words(tmp_path / "none.txt")


def test_recipes_can_be_made_again_from_their_description():
    base = made()
    assert chained(base.options, base.models) == base


def test_a_model_folder_is_known_by_its_content_and_not_by_its_card(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"x" * 100_000)
    (tmp_path / "README.md").write_text("one")
    before = fingerprint(str(tmp_path))
    (tmp_path / "README.md").write_text("two")
    (tmp_path / "history.csv").write_text("step,loss\n")
    assert fingerprint(str(tmp_path)) == before
    (tmp_path / "model.safetensors").write_bytes(b"x" * 99_999 + b"y")
    assert fingerprint(str(tmp_path)) != before


def test_a_language_model_that_is_not_here_says_how_to_fetch_it(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelNotAvailable) as caught:
        language_model(read_catalog(CATALOG)["wav2vec2"].ref("lm"))
    assert caught.value.next == "nightscribe models fetch patrickvonplaten/wav2vec2-base-960h-4-gram"


def test_the_demo_models_fit_into_a_repository_and_have_cards():
    sizes = {"asr-demo": 45, "lm-demo": 20, "topics-demo": 25, "frames-demo": 8, "sounds-demo": 12}
    for name, megabytes in sizes.items():
        folder = REPO / "data/models" / name
        assert sum(path.stat().st_size for path in folder.iterdir()) < megabytes * 1e6
        assert "Licence" in (folder / "README.md").read_text(encoding="utf-8")


def test_the_sounds_that_are_looked_for_stand_in_the_docs():
    page = " ".join((REPO / "docs/stages.md").read_text(encoding="utf-8").split())
    assert f"else of everyday sounds: {', '.join(LABELS)})" in page


def test_a_set_names_the_sounds_that_its_model_knows(tmp_path):
    catalog = tmp_path / "catalog.toml"
    entry = '[own]\nlanguage = "en"\nlicence = "ours"\nacoustic = "a/b"\nsounds = "a/c"\n'

    def looked_for(line: str = "", **section: object) -> tuple[str, ...]:
        catalog.write_text(entry + line)
        settings = Settings(catalog=catalog, models="own", sound_events=section)
        found = sound_options(find_set(settings), settings)
        assert found is not None
        return found.labels

    assert looked_for('sound_labels = ["rain", "a bell"]') == ("rain", "a bell")
    assert looked_for('sound_labels = ["rain", "a bell"]', labels=["wind", "rain"]) == ("wind", "rain")
    assert looked_for() == LABELS
    for wrong in ('"rain"', '["rain"]', '["rain", "rain"]', "[1, 2]", "[]", '["", "rain"]'):
        with pytest.raises(Misconfigured, match="sound_labels must"):
            looked_for(f"sound_labels = {wrong}")
