"""Downloads are of one commit, the same ever after."""

from __future__ import annotations

import ast
import shutil
from types import SimpleNamespace

import huggingface_hub
import pytest
from conftest import REPO

from tasks.errors import Misconfigured, ModelNotAvailable
from tasks.models.catalog import fetch_models, find_set, read_catalog
from tasks.models.pins import from_hub, lock_of
from tasks.settings import Settings

MONDAY, FRIDAY = "a" * 40, "b" * 40


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub whose newest commit moves; `fetched` are the downloads. A catalogue of its own in `tmp_path`."""
    shutil.copy(REPO / "data/models/catalog.toml", tmp_path / "catalog.toml")
    monkeypatch.setenv("NIGHTSCRIBE_CATALOG", str(tmp_path / "catalog.toml"))
    made = SimpleNamespace(newest=MONDAY, fetched=[], catalog=tmp_path / "catalog.toml")
    monkeypatch.setattr(huggingface_hub.HfApi, "model_info", lambda api, name: SimpleNamespace(sha=made.newest))
    monkeypatch.setattr(
        huggingface_hub, "snapshot_download", lambda name, **given: made.fetched.append((name, given["revision"]))
    )
    return made


def test_a_set_is_fetched_at_one_commit_for_ever(hub):
    settings = Settings()
    names = fetch_models("wav2vec2", settings)
    assert hub.fetched == [(name, MONDAY) for name in names]
    hub.fetched.clear()
    hub.newest = FRIDAY
    fetch_models("wav2vec2", settings)
    assert hub.fetched == [(name, MONDAY) for name in names]
    chosen = find_set(Settings(models="wav2vec2"))
    assert [model.revision for model in chosen.models.values()] == [MONDAY, MONDAY, MONDAY]
    assert find_set(Settings(models="persian")).acoustic.revision is None


def test_the_catalogues_own_commit_comes_first_and_must_be_one(hub):
    entry = '[own]\nlanguage = "en"\nlicence = "?"\nacoustic = "a/b"\nacoustic_revision = "{}"\n'
    hub.catalog.write_text(entry.format(FRIDAY))
    fetch_models("own", Settings())
    assert hub.fetched == [("a/b", FRIDAY)]
    assert not lock_of(hub.catalog).exists()
    hub.catalog.write_text(entry.format("main"))
    with pytest.raises(Misconfigured, match="'main' of acoustic of own"):
        read_catalog(hub.catalog)


def test_a_base_model_of_the_hub_is_loaded_by_its_pin_or_not_at_all(hub, tmp_path):
    assert from_hub(str(tmp_path)) == {}
    with pytest.raises(ModelNotAvailable) as caught:
        from_hub("facebook/wav2vec2-base")
    assert caught.value.next == "nightscribe models fetch facebook/wav2vec2-base"
    fetch_models("facebook/wav2vec2-base", Settings())
    assert from_hub("facebook/wav2vec2-base") == {"revision": MONDAY, "local_files_only": True}


def test_nothing_is_loaded_from_the_hub_without_a_revision():
    """Of folders alone: where the first argument is called `folder`."""
    loaders = {"from_pretrained", "pretrained", "snapshot_download", "hf_hub_download", "load_dataset"}
    calls = 0
    for path in sorted(REPO.glob("*/**/*.py")):
        if path.relative_to(REPO).parts[0] not in ("tasks", "nightscribe", "flows", "data", "dashboards"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in loaders and not (isinstance(node.args[0], ast.Name) and node.args[0].id == "folder"):
                calls += 1
                given = {keyword.arg or ast.unparse(keyword.value) for keyword in node.keywords}
                assert given & {"revision", "common", "given"}, f"{path}:{node.lineno}"
    assert calls > 8
