"""The bench beside other recognisers: what is counted, and who is left out."""

from __future__ import annotations

import contextlib

import pytest
from conftest import REPO

from nightscribe.bench import asr
from nightscribe.bench.table import Table


@pytest.fixture
def material(tmp_path, monkeypatch) -> asr.Material:
    monkeypatch.setattr(asr, "NOTHING_S", 1.0)
    monkeypatch.setattr(asr, "testdata", lambda: None)
    return asr._material(tmp_path, full=False)


def test_words_times_and_what_is_invented_are_counted(material):
    @contextlib.contextmanager
    def stub():
        yield lambda audios: ["the central bank" for _ in audios]

    table = Table("asr", "", ())
    asr._measure(table, "Some engine", stub, material)
    [(name, unseen, archive, _, _, invented)] = table.rows
    assert (name, unseen, invented) == ("Some engine", "-", "6"), "three words in the silence, three in the noise"
    assert 90 < float(archive.removesuffix(" %")) <= 100
    assert table.figures["some_engine"]["unseen"] is None


@pytest.mark.long
def test_the_demo_set_has_fewer_errors_with_its_search_and_writes_nothing_in_silence_and_noise(material):
    few = asr.Material([], material.archive[:1], material.nothing)
    table = Table("asr", "", ())
    asr._measure(table, "searched", asr._searched, few)
    asr._measure(table, "greedy", asr._greedy, few)
    searched, greedy = (table.figures[name] for name in ("searched", "greedy"))
    assert searched["archive"] < greedy["archive"] < 1
    assert searched["invented"] == greedy["invented"] == 0


def test_peers_that_are_not_installed_are_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert asr._weights("tiny.en", tmp_path) is None


def test_the_page_of_figures_has_its_place():
    assert "<!-- bench asr -->" in (REPO / "docs" / "figures.md").read_text()
