"""The mean of several speech models."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file
from test_families import FAMILIES, make_model

from nightscribe.commands.train.average import command
from tasks.errors import Misconfigured
from tasks.speech.acoustic import load_acoustic
from tasks.training.scratch import small_model, small_processor
from tasks.training.soup import average_models


def saved(folder: Path, seed: int, **shape) -> str:
    torch.manual_seed(seed)
    model = small_model(30, **{"hidden": 64, "layers": 1, **shape})
    with torch.no_grad():
        for value in model.state_dict().values():
            if value.is_floating_point():
                value.normal_(1.0, 0.1)
    model.save_pretrained(folder)
    small_processor().save_pretrained(folder)
    return str(folder)


def weights(folder: Path | str) -> dict[str, torch.Tensor]:
    return load_file(Path(folder, "model.safetensors"))


def test_the_mean_of_three_models_loads_and_hears(tmp_path):
    names = [saved(tmp_path / str(seed), seed) for seed in range(3)]
    result = CliRunner().invoke(command, [*names, "--out", str(tmp_path / "mean"), "--half"])
    assert result.exit_code == 0, result.output
    mean, parts = weights(tmp_path / "mean"), [weights(name) for name in names]
    floats = [key for key, value in mean.items() if value.is_floating_point()]
    assert len(floats) > 50
    for key in floats:
        assert mean[key].dtype == torch.float16
        assert torch.allclose(mean[key].float(), sum(part[key] for part in parts) / 3, atol=2e-3), key
    card = (tmp_path / "mean" / "README.md").read_text()
    assert f"{tmp_path.name}/0, {tmp_path.name}/1, {tmp_path.name}/2" in card
    assert str(tmp_path) not in card, "no path of the maker's machine"
    loaded = load_acoustic(tmp_path / "mean", device="cpu", precision="fp32")
    assert loaded.labels == load_acoustic(names[0], device="cpu", precision="fp32").labels


def test_runs_that_have_nothing_in_common_are_refused(tmp_path):
    one, wide = saved(tmp_path / "one", 1), saved(tmp_path / "wide", 2, hidden=128)
    other = make_model(tmp_path / "other", *FAMILIES["hubert"])
    with pytest.raises(Misconfigured, match=r"wide has another shape than .*one"):
        average_models([one, wide], tmp_path / "out")
    with pytest.raises(Misconfigured, match="another shape"):
        average_models([one, str(other)], tmp_path / "out")
    with pytest.raises(Misconfigured, match="mean of one model"):
        average_models([one], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    tokens = tmp_path / "two" / "vocab.json"
    two = saved(tmp_path / "two", 3)
    vocab = json.loads(tokens.read_text())
    vocab["a"], vocab["b"] = vocab["b"], vocab["a"]
    tokens.write_text(json.dumps(vocab))
    with pytest.raises(Misconfigured, match="other letters"):
        average_models([one, two], tmp_path / "out")


def test_a_folder_that_holds_something_stays_as_it_is(tmp_path):
    names = [saved(tmp_path / str(seed), seed) for seed in range(2)]
    before = weights(names[0])
    with pytest.raises(Misconfigured, match="is there already"):
        average_models(names, Path(names[0]))
    assert all(torch.equal(value, before[key]) for key, value in weights(names[0]).items())
