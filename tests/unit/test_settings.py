"""Which of the places that may name a setting is heard."""

from __future__ import annotations

import re

import pytest

from tasks.errors import Misconfigured
from tasks.search.elastic.connection import Connection
from tasks.settings import Settings
from tasks.settings.sections import FLAT
from tasks.stages.cues.options import CuesSettings
from tasks.stages.registry import STAGES
from tasks.stages.settings import read_settings

OURS, SHARED = "NIGHTSCRIBE_ELASTICSEARCH_URL", "ELASTICSEARCH_URL"


@pytest.mark.parametrize(
    ("ours", "file", "shared", "taken"),
    [
        (None, None, None, None),
        (None, None, "http://shared:9200", "http://shared:9200"),
        (None, "http://file:9200", "http://shared:9200", "http://file:9200"),
        ("http://ours:9200", "http://file:9200", "http://shared:9200", "http://ours:9200"),
        ("http://ours:9200", None, "http://shared:9200", "http://ours:9200"),
        (None, None, "", None),
        (None, None, "  ", None),
        (None, "", "http://shared:9200", None),
        ("", "http://file:9200", "http://shared:9200", None),
    ],
)
def test_the_address_of_elasticsearch_is_ours_then_the_files_then_the_one_others_share(
    ours, file, shared, taken, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    for name, value in ((OURS, ours), (SHARED, shared)):
        monkeypatch.delenv(name, raising=False) if value is None else monkeypatch.setenv(name, value)
    if file is not None:
        (tmp_path / "nightscribe.toml").write_text(f'elasticsearch_url = "{file}"\n')
    assert Settings().elasticsearch_url == taken
    assert Settings(elasticsearch_url="http://flag:9200").elasticsearch_url == "http://flag:9200"


def test_an_address_with_a_password_says_where_it_is_from_and_how_to_do_without(monkeypatch):
    monkeypatch.delenv(OURS)
    monkeypatch.setenv(SHARED, "https://me:secret@search.example")
    with pytest.raises(Misconfigured) as refused:
        Connection.of(Settings())
    assert str(refused.value).startswith("elasticsearch_url (from ELASTICSEARCH_URL) has a user in it")
    assert "NIGHTSCRIBE_ELASTICSEARCH_URL" in refused.value.next
    assert "secret" not in f"{refused.value} {refused.value.next}"


# -- settings of stages ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "environment", "file", "taken"),
    [
        ({}, {}, "", 833),
        ({}, {}, "[cues]\nmin_ms = 600\n", 600),
        ({}, {}, "cue_min_ms = 600\n", 600),
        ({}, {"NIGHTSCRIBE_CUES__MIN_MS": "700"}, "cue_min_ms = 600\n", 700),
        ({}, {"NIGHTSCRIBE_CUE_MIN_MS": "700"}, "[cues]\nmin_ms = 600\n", 700),
        ({}, {"NIGHTSCRIBE_CUE_MIN_MS": "700", "NIGHTSCRIBE_CUES__MIN_MS": "650"}, "", 650),
        ({}, {"NIGHTSCRIBE_CUES__MIN_MS": "650", "NIGHTSCRIBE_CUE_MIN_MS": "700"}, "", 650),
        ({"cue_min_ms": 800}, {"NIGHTSCRIBE_CUES__MIN_MS": "700"}, "", 800),
        ({"cues": {"min_ms": 800}}, {"NIGHTSCRIBE_CUE_MIN_MS": "700"}, "cue_min_ms = 600\n", 800),
    ],
)
def test_a_setting_of_a_stage_is_in_its_table_or_has_the_name_of_before(
    given, environment, file, taken, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nightscribe.toml").write_text(file + ("" if "[" in file else "[cues]\n") + "lines = 3\n")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    own = read_settings(**given).of(CuesSettings)
    assert (own.min_ms, own.lines) == (taken, 3)  # one of a table leaves the others


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("[cues]\nmin_ms = 'soon'\n", "The setting cues.min_ms is wrong"),
        ("cue_min_ms = -1\n", "The setting cues.min_ms is wrong"),
        ("[cues]\nlast_ms = 1\n", "The setting cues.last_ms is wrong"),
        (
            "[pictures]\nevery_s = 1\n",
            "pictures is neither a setting nor a stage with settings; these are emissions, words, cues, topics",
        ),
        ("every_s = 1\n", "The setting every_s is wrong"),
        ("[stages]\ncues = 3\n", "The setting stages.cues is wrong"),
    ],
)
def test_a_wrong_setting_of_a_stage_is_refused_before_anything_runs(file, said, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nightscribe.toml").write_text(file)
    with pytest.raises(Misconfigured, match=re.escape(said)):
        read_settings()


def test_a_copy_of_settings_knows_every_name_too():
    copy = Settings(cue_min_ms=600).model_copy(update={"cue_max_ms": 6000, "currency": "EUR"})
    assert (copy.of(CuesSettings).min_ms, copy.of(CuesSettings).max_ms, copy.currency) == (600, 6000, "EUR")


def test_every_name_of_before_is_a_setting_of_a_stage():
    kinds = {stage.name: stage.settings for stage in STAGES if stage.settings}
    assert all(field in kinds[section].model_fields for section, field in FLAT.values())
    assert not set(FLAT) & set(Settings.model_fields)
